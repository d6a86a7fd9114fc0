/** PASCAL VOC's class colours, by which its label PNGs are painted. */

/**
 * `[256, 3]` RGB bytes, row-major: bits 0, 3, 6 of the class number become red's highest bits, 1, 4, 7 green's
 * and 2, 5 blue's (`VOClabelcolormap` of the VOC development kit). Class 0 is black, 255 (ignore) 224, 224, 192.
 */
function buildVoc(): Uint8Array {
  const table = new Uint8Array(3 * 256);
  for (let label = 0; label < 256; label++) {
    for (let bit = 0; bit < 8; bit++) {
      const channel = bit % 3;
      if ((label >> bit) & 1) table[3 * label + channel]! |= 0x80 >> Math.floor(bit / 3);
    }
  }
  return table;
}

export const VOC_PALETTE: Readonly<Uint8Array> = buildVoc();
