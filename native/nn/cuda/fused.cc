#ifdef AFA_CUDA
#include "nn/cuda/fused.h"

#include <ATen/autocast_mode.h>
#include <c10/cuda/CUDAGuard.h>

#include <limits>

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

// Torch's own memory is; a view of foreign memory need not be.
bool isAligned(const at::Tensor& x) { return reinterpret_cast<uintptr_t>(x.const_data_ptr()) % 16 == 0; }

const float* floatsOf(const at::Tensor& x) { return x.defined() ? x.const_data_ptr<float>() : nullptr; }
SampleScale scaleOf(const at::Tensor& scale, const at::Tensor& tokens) {
  return {floatsOf(scale), static_cast<unsigned>(tokens.numel() / tokens.size(0) / tokens.size(-1))};
}
float* floatsIn(const at::Tensor& x) { return x.defined() ? x.mutable_data_ptr<float>() : nullptr; }

}  // namespace

bool fitsDepthwiseGelu(const at::Tensor& x, const at::Tensor& weight, int64_t padding) {
  return x.is_cuda() && isKernelType(x) && x.numel() > 0 && x.size(0) <= kMostRows && x.size(1) % 2 == 0 &&
         x.numel() / x.size(0) <= std::numeric_limits<int32_t>::max() && isAligned(x) &&
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

bool fitsAddNorm(const at::Tensor& tokens, const at::Tensor& weight) {
  const int64_t channels = weight.numel();
  return tokens.is_cuda() && isKernelType(tokens) && tokens.numel() > 0 && tokens.is_contiguous() &&
         isAligned(tokens) && tokens.size(-1) == channels && channels % kQuad == 0 && channels <= kMostChannels &&
         tokens.numel() / channels <= std::numeric_limits<int32_t>::max() && isFloatOn(weight, tokens.device());
}

NormedSum addNorm(const ToNorm& from, const Affine& norm, Readers readers, bool statistics) {
  const auto& [residual, ownBranch, bias, scale] = from;
  const auto branch = ownBranch.contiguous();
  TORCH_CHECK(!residual.defined() || residual.sizes() == branch.sizes(),
              "Expected a residual and a branch of one shape but received ", residual.sizes(), " and ", branch.sizes());
  TORCH_CHECK(isKernelType(branch), "Expected a branch in float32 or bfloat16 but received ", branch.scalar_type());
  const c10::cuda::CUDAGuard guard(branch.device());
  const bool half = readers == Readers::Products && at::autocast::is_autocast_enabled(at::kCUDA);
  const int64_t channels = norm.weight.numel();
  const auto floats = branch.options().dtype(at::kFloat);
  NormedSum out;
  out.normed = at::empty(branch.sizes(), half ? floats.dtype(at::kBFloat16) : floats);
  if (residual.defined()) out.sum = at::empty(branch.sizes(), floats);
  if (statistics) {
    // As native_layer_norm has them: [..., 1].
    auto shape = branch.sizes().vec();
    shape.back() = 1;
    out.mean = at::empty(shape, floats);
    out.inverse = at::empty(shape, floats);
  }
  check(afaAddNorm({.tokens = branch.numel() / channels,
                    .channels = static_cast<int>(channels),
                    .residual = floatsOf(residual),
                    .branch = branch.const_data_ptr(),
                    .branchBFloat16 = branch.scalar_type() == at::kBFloat16,
                    .branchBias = floatsOf(bias),
                    .scale = scaleOf(scale, branch),
                    .weight = floatsOf(norm.weight),
                    .bias = floatsOf(norm.bias),
                    .eps = static_cast<float>(norm.eps),
                    .sum = floatsIn(out.sum),
                    .normed = out.normed.mutable_data_ptr(),
                    .normedBFloat16 = half,
                    .mean = floatsIn(out.mean),
                    .inverse = floatsIn(out.inverse)},
                   stream()));
  return out;
}

std::tuple<at::Tensor, at::Tensor> addNormBackward(const at::Tensor& dNormed, const at::Tensor& dSum,
                                                   const NormedSum& forward, const at::Tensor& weight,
                                                   const at::Tensor& scale, at::ScalarType branchType) {
  TORCH_CHECK(!at::GradMode::is_enabled(), "Expected a gradient to be taken once: that of a gradient is not written");
  const c10::cuda::CUDAGuard guard(dNormed.device());
  const auto own = dNormed.contiguous(), beside = dSum.defined() ? dSum.contiguous() : dSum;
  auto dResidual = at::empty_like(forward.sum);
  auto dBranch = at::empty(forward.sum.sizes(), forward.sum.options().dtype(branchType));
  const int64_t channels = weight.numel();
  check(afaAddNormBackward({.tokens = own.numel() / channels,
                            .channels = static_cast<int>(channels),
                            .dNormed = own.const_data_ptr(),
                            .dNormedBFloat16 = own.scalar_type() == at::kBFloat16,
                            .dSum = floatsOf(beside),
                            .sum = floatsOf(forward.sum),
                            .mean = floatsOf(forward.mean),
                            .inverse = floatsOf(forward.inverse),
                            .weight = floatsOf(weight),
                            .scale = scaleOf(scale, own),
                            .dResidual = floatsIn(dResidual),
                            .dBranch = dBranch.mutable_data_ptr(),
                            .dBranchBFloat16 = branchType == at::kBFloat16},
                           stream()));
  return {dResidual, dBranch};
}

}  // namespace afa::nn::cuda
#endif
