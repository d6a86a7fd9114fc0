// Neighbouring channels that a thread loads at once, in float32 or bfloat16.
#pragma once
#include <cstdint>
#include <cstring>

#include "cam/cuda/host_device.h"

namespace afa::nn::cuda {

struct BFloat16 {
  uint16_t bits;
};

template <class T, int kCount>
struct alignas(kCount * sizeof(T)) Pack {
  T values[kCount];
};

AFA_HD float toFloat(float x) { return x; }
AFA_HD float toFloat(BFloat16 x) {
  const uint32_t bits = static_cast<uint32_t>(x.bits) << 16;
  float out;
  memcpy(&out, &bits, sizeof out);
  return out;
}

template <class T>
AFA_HD T rounded(float x);
template <>
AFA_HD float rounded<float>(float x) {
  return x;
}
// To the nearest, ties to even, as c10::BFloat16.
template <>
AFA_HD BFloat16 rounded<BFloat16>(float x) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  if (x != x) return {0x7FC0};
  return {static_cast<uint16_t>((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16)};
}

}  // namespace afa::nn::cuda
