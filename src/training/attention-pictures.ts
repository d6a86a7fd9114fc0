import { makeGrid, type Picture } from '../export/grid.js';
import { colorize, VIRIDIS_LUT } from '../export/palette.js';
import type { WeTrOutput } from '../models/wetr.js';
import type { Tensor } from '../tensor/index.js';

/** Query positions, as shares of the way from the top left to the bottom right corner: the original's four cases. */
const CASES = [0, 0.3, 0.6, 0.9];
/** Of the last stage: blocks whose attention predicts affinity. */
const LAST = 2;
/** Pixels a side of one map; maps have 10 to 30 positions a side. */
const SIDE = 64;

/** One picture a map, in viridis from its smallest to its largest value; one that is flat or not finite is dark. */
function colourByRange(map: Float32Array): Uint8Array {
  const lowest = map.reduce((a, b) => Math.min(a, b));
  const range = map.reduce((a, b) => Math.max(a, b)) - lowest;
  const shares = map.map((value) => (value - lowest) / range || 0);
  return colour(shares);
}

/** Shares of 0..1 in viridis. */
const colour = (shares: Float32Array): Uint8Array =>
  colorize(
    Uint8Array.from(shares, (share) => 255 * share),
    VIRIDIS_LUT,
  );

/**
 * What one query position attends to, for each image and each of its maps.
 * @param maps [B, n, M, M], rows are queries
 * @param share of the diagonal at which the query lies
 * @param aspect height / width of the image
 * @param paint how a map is coloured
 * @returns for each image n pictures of SIDE x SIDE
 */
function attendedBy(
  maps: Tensor,
  count: number,
  share: number,
  aspect: number,
  paint = colourByRange,
): Uint8Array[][] {
  const [batch, n, positions] = maps.shape as [number, number, number];
  const shown = Math.min(count, batch);
  const height = Math.round(Math.sqrt(positions * aspect));
  const width = Math.round(positions / height);
  const query = Math.floor(height * share) * width + Math.floor(width * share);
  const rows = maps.detach().narrow(0, 0, shown).select(2, query);
  const values = rows
    .reshape(shown * n, 1, height, width)
    .interpolate([SIDE, SIDE])
    .toFloat32();
  const picture = (i: number) => paint(values.subarray(i * SIDE * SIDE, (i + 1) * SIDE * SIDE));
  return Array.from({ length: shown }, (_, b) => Array.from({ length: n }, (_, i) => picture(b * n + i)));
}

/**
 * Attention grids, four query positions each (original: tensorboard_attn2).
 * - `attns/top_stages_case0` to 3: a row for each image; a column for the first head of each block but the last two,
 *   and one for the predicted affinity, from 0 to 1: stretched as the others are, the noise of a flat one would look
 *   like a finding.
 * - `attns/last_stage_case0` to 3: two rows for each image, the last two blocks; a column for each head.
 * @param aspect height / width of the images
 */
export function attentionPictures(
  { attention = [], affinity }: WeTrOutput,
  count: number,
  aspect: number,
): Picture[] {
  if (!affinity) return [];
  const top = attention.slice(0, -LAST).map((map) => map.narrow(1, 0, 1));
  const last = attention.slice(-LAST);
  return CASES.flatMap((share, i) => {
    const seen = (maps: Tensor[]) => maps.map((map) => attendedBy(map, count, share, aspect));
    const columns = [...seen(top), attendedBy(affinity.unsqueeze(1), count, share, aspect, colour)];
    const blocks = seen(last);
    const images = [...columns[0]!.keys()];
    const topTiles = images.flatMap((image) => columns.flatMap((column) => column[image]!));
    const lastTiles = images.flatMap((image) => blocks.flatMap((block) => block[image]!));
    const heads = blocks[0]?.[0]?.length ?? 1;
    return [
      { tag: `attns/top_stages_case${i}`, ...makeGrid(topTiles, SIDE, SIDE, columns.length) },
      { tag: `attns/last_stage_case${i}`, ...makeGrid(lastTiles, SIDE, SIDE, heads) },
    ];
  });
}
