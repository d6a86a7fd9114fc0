// The torch side of the kernels in depthwise.cu and norm.cu, where nvcc compiles them; autograd does not see them.
#pragma once
#ifdef AFA_CUDA
#include "nn/layers.h"

namespace afa::nn::cuda {

// Whether the kernel takes x [B, C, H, W] and weight [C, 1, 3, 3]: on CUDA, channels last, padding 1.
bool fitsDepthwiseGelu(const at::Tensor& x, const at::Tensor& weight, int64_t padding);
// gelu(conv2d(x, weight, bias)) of a channels-last x in float32 or bfloat16, in x's type.
at::Tensor depthwiseGelu(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias);

// Whether the kernels take tokens [..., C] to be normed with `weight` [C].
bool fitsAddNorm(const at::Tensor& tokens, const at::Tensor& weight);
// What is summed before a LayerNorm: residual + scale * (branch + bias). Residual float32 [B, ..., C], branch the same
// in float32 or bfloat16, bias [C], scale [B]; all but the branch may be undefined.
struct ToNorm {
  at::Tensor residual, branch, bias, scale;
};
struct Affine {
  at::Tensor weight, bias;
  double eps;
};
// The sum, left undefined where there is no residual, and its LayerNorm: in bfloat16 under autocast for products, which
// would round to it, else in float32. With `statistics` mean and inverse deviation too.
NormedSum addNorm(const ToNorm& from, const Affine& norm, Readers readers, bool statistics = false);
// Gradients of a loss for residual and branch from those for normed and sum, the latter defined or not.
std::tuple<at::Tensor, at::Tensor> addNormBackward(const at::Tensor& dNormed, const at::Tensor& dSum,
                                                   const NormedSum& forward, const at::Tensor& weight,
                                                   const at::Tensor& scale, at::ScalarType branchType);

}  // namespace afa::nn::cuda
#endif
