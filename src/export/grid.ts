/** An RGB image: `[height, width, 3]` bytes, row-major. */
export interface RgbImage {
  rgb: Uint8Array;
  height: number;
  width: number;
}

/** What a picture shows is said by its tag: "train/images", "cam/valid_cams", ... */
export interface Picture extends RgbImage {
  tag: string;
}

const PADDING = 2;

/**
 * Lays images of one size out row by row, with two black pixels around each, as torchvision's make_grid does; a
 * single image stays as it is.
 * @param tiles each `[height * width * 3]` bytes
 * @param columns most images in a row
 * @throws RangeError without images
 */
export function makeGrid(
  tiles: readonly Uint8Array[],
  height: number,
  width: number,
  columns: number,
): RgbImage {
  if (tiles.length === 0) throw new RangeError('Expected at least one image for a grid but received none');
  if (tiles.length === 1) return { rgb: tiles[0]!, height, width };
  const across = Math.min(columns, tiles.length);
  const down = Math.ceil(tiles.length / across);
  const grid = { height: down * (height + PADDING) + PADDING, width: across * (width + PADDING) + PADDING };
  const rgb = new Uint8Array(3 * grid.height * grid.width);
  for (const [i, tile] of tiles.entries()) {
    const top = Math.floor(i / across) * (height + PADDING) + PADDING;
    const left = (i % across) * (width + PADDING) + PADDING;
    for (let y = 0; y < height; y++)
      rgb.set(tile.subarray(3 * y * width, 3 * (y + 1) * width), 3 * ((top + y) * grid.width + left));
  }
  return { rgb, ...grid };
}
