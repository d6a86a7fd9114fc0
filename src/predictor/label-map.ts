/** For each output position: the two input positions around it and the share of the second. */
function lines(input: number, output: number) {
  const scale = input / output;
  return Array.from({ length: output }, (_, i) => {
    const position = Math.max(0, (i + 0.5) * scale - 0.5);
    const first = Math.min(Math.floor(position), input - 1);
    return { first, second: Math.min(first + 1, input - 1), share: position - first };
  });
}

/**
 * The strongest class of each pixel: logits are resized as PyTorch's bilinear interpolation does it
 * (align_corners=False), then compared; of equal classes the first wins. Computed here and not as tensors, because
 * the predictor's tensors belong to the addon's own thread.
 * @param logits [classes, h, w]
 * @returns [height * width] of class numbers, 0 is background
 */
export function labelMap(
  logits: Float32Array,
  [classes, h, w]: readonly [number, number, number],
  height: number,
  width: number,
): Uint8Array<ArrayBuffer> {
  const columns = lines(w, width);
  const rows = lines(h, height);
  const row = new Float32Array(w);
  const best = new Float32Array(width);
  const labels = new Uint8Array(height * width);
  rows.forEach(({ first, second, share }, y) => {
    best.fill(Number.NEGATIVE_INFINITY);
    for (let c = 0; c < classes; c++) {
      const [upper, lower] = [(c * h + first) * w, (c * h + second) * w];
      for (let x = 0; x < w; x++) row[x] = (1 - share) * logits[upper + x]! + share * logits[lower + x]!;
      for (let x = 0; x < width; x++) {
        const column = columns[x]!;
        const value = (1 - column.share) * row[column.first]! + column.share * row[column.second]!;
        if (value > best[x]!) {
          best[x] = value;
          labels[y * width + x] = c;
        }
      }
    }
  });
  return labels;
}
