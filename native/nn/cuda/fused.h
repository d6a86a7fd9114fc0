// The torch side of the kernels in depthwise.cu and norm.cu, where nvcc compiles them. Without gradients.
#pragma once
#ifdef AFA_CUDA
#include "nn/layers.h"

namespace afa::nn::cuda {

// Whether the kernel takes x [B, C, H, W] and weight [C, 1, 3, 3]: on CUDA, channels last, padding 1.
bool fitsDepthwiseGelu(const at::Tensor& x, const at::Tensor& weight, int64_t padding);
// gelu(conv2d(x, weight, bias)) of a channels-last x in float32 or bfloat16, in x's type.
at::Tensor depthwiseGelu(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias);

// Whether the kernel takes tokens [..., C] to be normed.
bool fitsAddNorm(const at::Tensor& tokens, const LayerNorm& norm);
// What is summed before a LayerNorm: residual float32 [..., C] or none, branch the same in float32 or bfloat16, and the
// branch's bias [C] or none.
struct ToNorm {
  at::Tensor residual, branch, bias;
};
// The sum, left undefined where there is no residual, and its LayerNorm in the type asked for.
Tokens addNorm(const ToNorm& from, const LayerNorm& norm, at::ScalarType type);

}  // namespace afa::nn::cuda
#endif
