/** The colour tables of the field, each `[256, 3]` RGB bytes, row-major. */
import { VOC_PALETTE } from '../io/voc-palette.js';

export { VOC_PALETTE };

const SIZE = 256;

/** To the nearest byte, halves to the even one: how OpenCV's saturate_cast rounds. */
function toByte(value: number): number {
  const below = Math.floor(Math.min(255, Math.max(0, value)));
  const rest = Math.min(255, Math.max(0, value)) - below;
  return below + Number(rest > 0.5 || (rest === 0.5 && below % 2 === 1));
}

/**
 * OpenCV's COLORMAP_JET, which is Octave's `jet`: with x = i / 255 each channel rises as 4x - a and falls as
 * b - 4x, cut to 0..1; (a, b) is (3/2, 9/2) for red, (1/2, 7/2) for green, (-1/2, 5/2) for blue.
 */
function buildJet(): Uint8Array {
  const table = new Uint8Array(3 * SIZE);
  const ramp = (i: number, a: number, b: number) => toByte(Math.min(4 * i - 255 * a, 255 * b - 4 * i));
  for (let i = 0; i < SIZE; i++) table.set([ramp(i, 1.5, 4.5), ramp(i, 0.5, 3.5), ramp(i, -0.5, 2.5)], 3 * i);
  // The one entry off the formula: it falls on 1.5, which rounds to 2, but OpenCV's stored table gives 1.
  table[3 * 159 + 2] = 1;
  return table;
}

/** Every 17th colour of matplotlib's viridis, from 0 to 255; straight lines between them are within 2 of the others. */
const VIRIDIS_COLORS =
  '440154481a6c472f7d41448739568c31688e2a788e23888e1f988b22a88435b77954c5687ad151a5db36d2e21bfde725';

function buildViridis(): Uint8Array {
  const colors = Buffer.from(VIRIDIS_COLORS, 'hex');
  const step = 17;
  return Uint8Array.from({ length: 3 * SIZE }, (_, at) => {
    const [index, channel] = [Math.floor(at / 3), at % 3];
    const below = 3 * Math.floor(index / step) + channel;
    const [from, to] = [colors[below]!, colors[below + 3] ?? 0];
    return toByte(from + ((to - from) * (index % step)) / step);
  });
}

export const JET_LUT: Readonly<Uint8Array> = buildJet();
export const VIRIDIS_LUT: Readonly<Uint8Array> = buildViridis();

/**
 * Paints class numbers in a colour table.
 * @param labels `[height * width]`, 0 to 255
 * @returns `[height * width, 3]` RGB
 */
export function colorize(labels: Uint8Array, table: Readonly<Uint8Array> = VOC_PALETTE): Uint8Array {
  const rgb = new Uint8Array(3 * labels.length);
  for (let i = 0; i < labels.length; i++) {
    for (let c = 0; c < 3; c++) rgb[3 * i + c] = table[3 * labels[i]! + c]!;
  }
  return rgb;
}
