#include "nn/products.h"

#include <ATen/autocast_mode.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <torch/csrc/autograd/custom_function.h>

#include "nn/bfloat16_emulation.h"
#include "nn/cuda/fused.h"
#include "nn/weight_casts.h"

namespace afa::nn {

namespace {

using at::Tensor;
using Scalars = c10::List<std::optional<at::Scalar>>;
using LinearOp = Tensor(const Tensor&, const Tensor&, const std::optional<Tensor>&, c10::string_view, Scalars,
                        std::optional<c10::string_view>);
using LinearBinaryOp = Tensor(const Tensor&, const Tensor&, const Tensor&, const std::optional<Tensor>&,
                              c10::string_view);
using ConvOp = Tensor(const Tensor&, const Tensor&, const std::optional<Tensor>&, at::IntArrayRef, at::IntArrayRef,
                      at::IntArrayRef, int64_t, c10::string_view, Scalars, std::optional<c10::string_view>);

// The operations that PyTorch's own compiler calls: registered, but without a C++ function of their own.
struct OneDnn {
  c10::TypedOperatorHandle<LinearOp> linear;
  c10::TypedOperatorHandle<LinearBinaryOp> linearBinary;
  c10::TypedOperatorHandle<ConvOp> convolution;

  // Null in a libtorch without them (macOS on ARM).
  static const OneDnn* find() {
    static const auto found = []() -> std::optional<OneDnn> {
      auto& dispatcher = c10::Dispatcher::singleton();
      auto linear = dispatcher.findSchema({"mkldnn::_linear_pointwise", ""});
      auto binary = dispatcher.findSchema({"mkldnn::_linear_pointwise", "binary"});
      auto convolution = dispatcher.findSchema({"mkldnn::_convolution_pointwise", ""});
      if (!at::hasMKLDNN() || !linear || !binary || !convolution) return std::nullopt;
      return OneDnn{linear->typed<LinearOp>(), binary->typed<LinearBinaryOp>(), convolution->typed<ConvOp>()};
    }();
    return found ? &*found : nullptr;
  }
};

bool isPlain(const Tensor& x) { return x.is_cpu() && x.scalar_type() == at::kFloat && x.numel() > 0; }

const OneDnn* usable(const Tensor& x, const Tensor& weight) {
  if (!isPlain(x) || !isPlain(weight) || at::autocast::is_autocast_enabled(at::kCPU)) return nullptr;
  return at::globalContext().userEnabledMkldnn() ? OneDnn::find() : nullptr;
}

std::optional<Tensor> optional(const Tensor& bias) { return bias.defined() ? std::optional(bias) : std::nullopt; }

// Rows with gaps between them, or a transpose of such, would go to oneDNN's reference loops, a hundred times slower.
Tensor dense(const Tensor& weight) { return weight.t().is_contiguous() ? weight : weight.contiguous(); }

Tensor product(const OneDnn& engine, const Tensor& x, const Tensor& weight, const std::optional<Tensor>& bias) {
  return engine.linear.call(x.contiguous(), dense(weight), bias, "none", Scalars(), "");
}

class LinearFunction : public torch::autograd::Function<LinearFunction> {
 public:
  using Context = torch::autograd::AutogradContext;

  static Tensor forward(Context* context, const Tensor& x, const Tensor& weight, const std::optional<Tensor>& bias) {
    context->save_for_backward({x, weight});
    context->saved_data["bias"] = bias.has_value();
    at::AutoDispatchBelowADInplaceOrView below;
    return product(*OneDnn::find(), x, weight, bias);
  }

  static torch::autograd::variable_list backward(Context* context, torch::autograd::variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const auto &x = saved[0], &weight = saved[1];
    const auto& dy = gradients[0];
    const int64_t in = weight.size(1), out = weight.size(0);
    Tensor dx, dWeight, dBias;
    if (context->needs_input_grad(0)) dx = product(*OneDnn::find(), dy, weight.t(), std::nullopt);
    const auto rows = dy.reshape({-1, out});
    if (context->needs_input_grad(1)) dWeight = rows.t().mm(x.reshape({-1, in}));
    if (context->saved_data["bias"].toBool() && context->needs_input_grad(2)) dBias = rows.sum(0);
    return {dx, dWeight, dBias};
  }
};

}  // namespace

Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias) {
  if (emulatesBfloat16(x)) return emulateBfloat16(nn::linear, x, weight, bias);
  const auto* engine = usable(x, weight);
  if (!engine) return at::linear(x, weight, bias);
  if (at::GradMode::is_enabled() && (x.requires_grad() || weight.requires_grad()))
    return LinearFunction::apply(x, weight, optional(bias));
  return product(*engine, x, weight, optional(bias));
}

Tensor linearAdd(const Tensor& residual, const Tensor& x, const Tensor& weight, const Tensor& bias) {
  const auto* engine = at::GradMode::is_enabled() ? nullptr : usable(x, weight);
  if (!engine || !isPlain(residual)) return residual + nn::linear(x, weight, bias);
  return engine->linearBinary.call(x.contiguous(), residual.contiguous(), dense(weight), optional(bias), "add");
}

Tensor conv2d(const Tensor& x, const Tensor& weight, const Tensor& bias, const Window& window) {
  const auto convolve = [&](const Tensor& image, const Tensor& kernels, const Tensor& added) {
    return at::conv2d(image, kernels, added, window.stride, window.padding, /*dilation=*/1, window.groups);
  };
  return emulatesBfloat16(x) ? emulateBfloat16(convolve, x, weight, bias) : convolve(x, weight, bias);
}

Tensor matmul(const Tensor& a, const Tensor& b) {
  const auto multiply = [](const Tensor& left, const Tensor& right) { return at::matmul(left, right); };
  return emulatesBfloat16(a) ? emulateBfloat16(multiply, a, b) : multiply(a, b);
}

Tensor depthwiseGelu(const Tensor& x, const Tensor& weight, const Tensor& bias, int64_t padding) {
#ifdef AFA_CUDA
  if (!at::GradMode::is_enabled() && cuda::fitsDepthwiseGelu(x, weight, padding))
    return cuda::depthwiseGelu(x, weight, bias);
#endif
  const int64_t groups = x.size(1);
  const auto* engine = at::GradMode::is_enabled() ? nullptr : usable(x, weight);
  if (!engine)
    return at::gelu(nn::conv2d(x, WeightCasts::of(weight), WeightCasts::of(bias), {.padding = padding, .groups = groups}));
  const std::array<int64_t, 2> both{padding, padding}, one{1, 1};
  return engine->convolution.call(x, weight, optional(bias), both, one, one, groups, "gelu", Scalars(), "none");
}

}  // namespace afa::nn
