// Mixed precision on a CPU without AVX-512: libtorch multiplies bfloat16 there in loops, which make a step 13 times as
// long as in float32 (docs/performance.md). Operands are rounded as autocast does, multiplied in float32, and what comes
// out is rounded: the same numbers but for the order of sums, since products of bfloat16 add up in float32 anyway.
#pragma once
#include "nn/autocast.h"

namespace afa::nn {

// Whether autocast would give a product of x to such loops.
bool emulatesBfloat16(const at::Tensor& x);

// x, or an undefined tensor, with bfloat16's digits, in float32. Gradients are rounded on their way back.
inline at::Tensor withBfloat16Digits(const at::Tensor& x) {
  return x.defined() ? x.to(at::kBFloat16).to(at::kFloat) : x;
}

template <class Product, class... Operands>
at::Tensor emulateBfloat16(const Product& product, const Operands&... operands) {
  const Autocast off(at::kCPU, false);
  return product(withBfloat16Digits(operands)...).to(at::kBFloat16);
}

}  // namespace afa::nn
