#ifdef AFA_CUDA
#include "nn/cuda/fused.h"

#include <c10/cuda/CUDAGuard.h>

#include "cuda_launch.h"
#include "nn/cuda/depthwise_launch.h"
#include "nn/cuda/norm_launch.h"

namespace afa::nn::cuda {

namespace {

constexpr int64_t kMostRows = 65535;  // of blocks, for one launch

bool isKernelType(const at::Tensor& x) { return x.scalar_type() == at::kFloat || x.scalar_type() == at::kBFloat16; }
bool isFloatOn(const at::Tensor& x, at::Device device) {
  return x.device() == device && x.scalar_type() == at::kFloat && x.is_contiguous();
}

}  // namespace

bool fitsDepthwiseGelu(const at::Tensor& x, const at::Tensor& weight, int64_t padding) {
  return x.is_cuda() && isKernelType(x) && x.numel() > 0 && x.size(0) <= kMostRows && x.size(1) % 2 == 0 &&
         x.is_contiguous(at::MemoryFormat::ChannelsLast) && padding == 1 &&
         weight.sizes() == at::IntArrayRef({x.size(1), 1, 3, 3}) && isFloatOn(weight, x.device());
}

at::Tensor depthwiseGelu(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  const c10::cuda::CUDAGuard guard(x.device());
  auto out = at::empty(x.sizes(), x.options(), at::MemoryFormat::ChannelsLast);
  const TokenGrid grid{static_cast<int>(x.size(2)), static_cast<int>(x.size(3)), static_cast<int>(x.size(1) / 2)};
  const auto launch = x.scalar_type() == at::kFloat ? afaDepthwiseGeluFloat : afaDepthwiseGeluBFloat16;
  check(launch(grid, static_cast<int>(x.size(0)), x.const_data_ptr(), weight.const_data_ptr<float>(),
               bias.const_data_ptr<float>(), out.mutable_data_ptr(), stream()));
  return out;
}

bool fitsAddNorm(const at::Tensor& tokens, const LayerNorm& norm) {
  const int64_t channels = norm.weight.numel();
  return tokens.is_cuda() && isKernelType(tokens) && tokens.numel() > 0 && tokens.is_contiguous() &&
         tokens.size(-1) == channels && channels % kQuad == 0 && channels <= kMostChannels &&
         isFloatOn(norm.weight, tokens.device());
}

Tokens addNorm(const ToNorm& from, const LayerNorm& norm, at::ScalarType type) {
  const auto& [residual, branch, bias] = from;
  TORCH_CHECK(!residual.defined() || residual.sizes() == branch.sizes(),
              "Expected a residual and a branch of one shape but received ", residual.sizes(), " and ", branch.sizes());
  TORCH_CHECK(branch.is_contiguous() && isKernelType(branch),
              "Expected a contiguous branch in float32 or bfloat16 but received strides ", branch.strides(), " of ",
              branch.scalar_type());
  const c10::cuda::CUDAGuard guard(branch.device());
  Tokens out;
  out.normed = at::empty(branch.sizes(), branch.options().dtype(type));
  if (residual.defined()) out.sum = at::empty_like(residual);
  const int64_t channels = norm.weight.numel();
  check(afaAddNorm({.tokens = branch.numel() / channels,
                    .channels = static_cast<int>(channels),
                    .residual = residual.defined() ? residual.const_data_ptr<float>() : nullptr,
                    .branch = branch.const_data_ptr(),
                    .branchBFloat16 = branch.scalar_type() == at::kBFloat16,
                    .branchBias = bias.defined() ? bias.const_data_ptr<float>() : nullptr,
                    .weight = norm.weight.const_data_ptr<float>(),
                    .bias = norm.bias.const_data_ptr<float>(),
                    .eps = static_cast<float>(norm.eps),
                    .sum = out.sum.defined() ? out.sum.mutable_data_ptr<float>() : nullptr,
                    .normed = out.normed.mutable_data_ptr(),
                    .normedBFloat16 = type == at::kBFloat16},
                   stream()));
  return out;
}

}  // namespace afa::nn::cuda
#endif
