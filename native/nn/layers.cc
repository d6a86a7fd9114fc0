#include "nn/layers.h"

#include <cmath>

#include "distributed/sync_batch_norm.h"
#include "nn/cuda/fused.h"
#include "nn/products.h"
#include "nn/weight_casts.h"

namespace afa::nn {

at::Tensor StateDict::parameter(const std::string& name, at::IntArrayRef shape) {
  auto tensor = at::empty(shape, at::kFloat);
  tensor.set_requires_grad(true);
  parameters_.push_back({name, tensor});
  all_.push_back({name, tensor});
  return tensor;
}

at::Tensor StateDict::factor(const std::string& name, at::IntArrayRef shape) {
  factors_.push_back(parameter(name, shape));
  return factors_.back();
}

at::Tensor StateDict::buffer(const std::string& name, at::Tensor initial) {
  all_.push_back({name, initial});
  return initial;
}

namespace {

// gain of leaky_relu with slope a
double gain(double a) { return std::sqrt(2.0 / (1.0 + a * a)); }

void fill(const at::Tensor& tensor, double value) {
  at::NoGradGuard guard;
  tensor.fill_(value);
}

// torch.nn's default for Linear and Conv2d: U(-1/sqrt(fan_in), 1/sqrt(fan_in)) for both.
void pytorchDefault(at::Tensor& weight, at::Tensor& bias) {
  at::NoGradGuard guard;
  const int64_t fanIn = weight.numel() / weight.size(0);
  kaimingUniform(weight, std::sqrt(5.0), fanIn);
  if (bias.defined()) bias.uniform_(-1.0 / std::sqrt(fanIn), 1.0 / std::sqrt(fanIn));
}

}  // namespace

void kaimingUniform(at::Tensor& weight, double a, int64_t fan) {
  at::NoGradGuard guard;
  const double bound = gain(a) * std::sqrt(3.0 / fan);
  weight.uniform_(-bound, bound);
}

void kaimingNormal(at::Tensor& weight, double a, int64_t fan) {
  at::NoGradGuard guard;
  weight.normal_(0.0, gain(a) / std::sqrt(fan));
}

Linear::Linear(StateDict& state, const std::string& name, int64_t in, int64_t out, Init init)
    : weight(state.factor(name + ".weight", {out, in})), bias(state.factor(name + ".bias", {out})) {
  if (init == Init::PyTorchDefault) {
    pytorchDefault(weight, bias);
  } else {
    at::NoGradGuard guard;
    weight.normal_(0.0, 0.02);  // the truncation of the original lies at 100 standard deviations
    bias.zero_();
  }
}

at::Tensor Linear::forward(const at::Tensor& x) const {
  return nn::linear(x, WeightCasts::of(weight), WeightCasts::of(bias));
}

at::Tensor Linear::addTo(const at::Tensor& residual, const at::Tensor& x) const {
  return linearAdd(residual, x, WeightCasts::of(weight), WeightCasts::of(bias));
}

Conv2d::Conv2d(StateDict& state, const std::string& name, int64_t in, int64_t out, Options o)
    : weight(state.factor(name + ".weight", {out, in / o.groups, o.kernel, o.kernel})),
      bias(o.bias ? state.factor(name + ".bias", {out}) : at::Tensor()),
      options(o) {
  const int64_t fanOut = o.kernel * o.kernel * out / o.groups;
  kaimingNormal(weight, 0.0, fanOut);
  if (bias.defined()) fill(bias, 0.0);
}

at::Tensor Conv2d::forward(const at::Tensor& x) const { return convolve(x, WeightCasts::of(bias)); }

at::Tensor Conv2d::forwardWithoutBias(const at::Tensor& x) const { return convolve(x, {}); }

at::Tensor Conv2d::convolve(const at::Tensor& x, const at::Tensor& added) const {
  return nn::conv2d(x, WeightCasts::of(weight), added, {options.stride, options.padding, options.groups});
}

LayerNorm::LayerNorm(StateDict& state, const std::string& name, int64_t channels, double eps)
    : weight(state.parameter(name + ".weight", {channels})),
      bias(state.parameter(name + ".bias", {channels})),
      eps(eps) {
  fill(weight, 1.0);
  fill(bias, 0.0);
}

at::Tensor LayerNorm::forward(const at::Tensor& x, [[maybe_unused]] Readers readers) const {
#ifdef AFA_CUDA
  if (!at::GradMode::is_enabled() && cuda::fitsAddNorm(x, weight))
    return cuda::addNorm({.branch = x}, {weight, bias, eps}, readers).normed;
#endif
  // Under autocast, statistics and the stream between blocks keep float32: CUDA's does so itself, the CPU's does not.
  return at::layer_norm(x.to(weight.scalar_type()), weight.sizes(), weight, bias, eps);
}

at::Tensor convNormed(const Conv2d& conv, const at::Tensor& image, const LayerNorm& norm, Readers readers) {
#ifdef AFA_CUDA
  if (!at::GradMode::is_enabled() && image.is_cuda()) {
    // libtorch would add the bias in a pass of its own.
    auto tokens = asTokens(conv.forwardWithoutBias(image));
    if (cuda::fitsAddNorm(tokens, norm.weight))
      return cuda::addNorm({.branch = tokens, .bias = conv.bias}, {norm.weight, norm.bias, norm.eps}, readers).normed;
    return norm.forward(tokens + conv.bias, readers);
  }
#endif
  return norm.forward(asTokens(conv.forward(image)), readers);
}

BatchNorm2d::BatchNorm2d(StateDict& state, const std::string& name, int64_t channels)
    : weight(state.parameter(name + ".weight", {channels})),
      bias(state.parameter(name + ".bias", {channels})),
      runningMean(state.buffer(name + ".running_mean", at::zeros({channels}))),
      runningVar(state.buffer(name + ".running_var", at::ones({channels}))),
      numBatchesTracked(state.buffer(name + ".num_batches_tracked", at::zeros({}, at::kLong))) {
  fill(weight, 1.0);
  fill(bias, 0.0);
}

at::Tensor BatchNorm2d::forward(const at::Tensor& x, bool training) const {
  constexpr double kMomentum = 0.1, kEps = 1e-5;
  if (training) numBatchesTracked.add_(1);
  if (training && syncAcross)
    return distributed::syncBatchNorm(syncAcross, x.to(at::kFloat), {weight, bias, runningMean, runningVar, kMomentum, kEps});
  return at::batch_norm(x, weight, bias, runningMean, runningVar, training, kMomentum, kEps, /*cudnn_enabled=*/true);
}

at::Tensor dropPathScale(int64_t samples, double p, at::Device device) {
  // Drawn where it is used: a copy from the CPU each block would cost more than the block's smaller kernels, and could
  // be no part of a CUDA graph. In float32: bfloat16 has no 1/0.9 within a thousandth.
  return at::empty({samples}, at::TensorOptions().dtype(at::kFloat).device(device)).bernoulli_(1.0 - p).div_(1.0 - p);
}

}  // namespace afa::nn
