/** IEEE 754 half precision, which Node 20 has no typed array for. */

const bits = new Uint32Array(1);
const value = new Float32Array(bits.buffer);

/** The float32 of equal value for the 16 bits of a half; every half is exact in float32. */
export function halfToFloat(half: number): number {
  const sign = (half & 0x8000) << 16;
  const exponent = (half >> 10) & 0x1f;
  const fraction = half & 0x3ff;
  // Subnormal halves (and zero) count in steps of 2^-24.
  if (exponent === 0) return (sign ? -1 : 1) * fraction * 2 ** -24;
  bits[0] = sign | ((exponent === 0x1f ? 0xff : exponent + 112) << 23) | (fraction << 13);
  return value[0]!;
}
