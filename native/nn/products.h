// Matrix products and what follows them in one pass, on oneDNN where libtorch brings it: 1.1 to 1.4 times as fast here
// as the BLAS that at::linear calls (docs/performance.md). Elsewhere, and for other types, libtorch's own operations; under
// autocast they follow it, or do as it does in float32 (bfloat16_emulation.h).
#pragma once
#include <ATen/ATen.h>

namespace afa::nn {

// x [..., in] times weight [out, in], plus bias [out] or none. Differentiable.
at::Tensor linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias);

// residual [..., out] + linear(x, weight, bias); one pass where no gradient is wanted.
at::Tensor linearAdd(const at::Tensor& residual, const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias);

// How a convolution's window moves over the image, the same along both axes.
struct Window {
  int64_t stride = 1, padding = 0, groups = 1;
};

// x [B, in, H, W] with weight [out, in / groups, k, k], plus bias [out] or none. Differentiable.
at::Tensor conv2d(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, const Window& window);

// Batches of products, [..., n, k] times [..., k, m]. Differentiable.
at::Tensor matmul(const at::Tensor& a, const at::Tensor& b);

// gelu(conv2d(x, weight, bias)) of as many groups as channels; one pass where no gradient is wanted.
at::Tensor depthwiseGelu(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, int64_t padding);

}  // namespace afa::nn
