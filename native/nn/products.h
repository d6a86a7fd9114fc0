// Matrix products and what follows them in one pass, on oneDNN where libtorch brings it: 1.1 to 1.4 times as fast here
// as the BLAS that at::linear calls (docs/performance.md). Elsewhere, and for other types, libtorch's own operations.
#pragma once
#include <ATen/ATen.h>

namespace afa::nn {

// x [..., in] times weight [out, in], plus bias [out] or none. Differentiable.
at::Tensor linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias);

// residual [..., out] + linear(x, weight, bias); one pass where no gradient is wanted.
at::Tensor linearAdd(const at::Tensor& residual, const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias);

// gelu(conv2d(x, weight, bias)) of as many groups as channels; one pass where no gradient is wanted.
at::Tensor depthwiseGelu(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, int64_t padding);

}  // namespace afa::nn
