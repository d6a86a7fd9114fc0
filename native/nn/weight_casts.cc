#include "nn/weight_casts.h"

#include <torch/csrc/autograd/custom_function.h>
#include <torch/csrc/autograd/variable.h>

namespace afa::nn {

namespace {

using at::Tensor;
using Tensors = torch::autograd::variable_list;

thread_local WeightCasts* inUse = nullptr;

Tensors castAll(at::TensorList from, at::ScalarType type) {
  Tensors to;
  for (const auto& each : from) to.push_back(at::empty_like(each, each.options().dtype(type)));
  if (!to.empty()) at::_foreach_copy_(to, from);
  return to;
}

class CastAll : public torch::autograd::Function<CastAll> {
 public:
  using Context = torch::autograd::AutogradContext;

  static Tensors forward(Context* context, at::TensorList weights) {
    context->set_materialize_grads(false);
    at::AutoDispatchBelowADInplaceOrView below;
    return castAll(weights, at::kBFloat16);
  }

  // Weights that the losses do not reach stay without a gradient.
  static Tensors backward(Context*, Tensors gradients) {
    Tensors reached;
    for (const auto& each : gradients)
      if (each.defined()) reached.push_back(each);
    auto cast = castAll(reached, at::kFloat);
    auto next = cast.begin();
    for (auto& each : gradients)
      if (each.defined()) each = *next++;
    return gradients;
  }
};

// Gradients that processes exchange one by one while the backward pass goes on (DDP) must not come all at its end.
bool isAwaited(const Tensor& weight) {
  const auto accumulator = torch::autograd::impl::try_get_grad_accumulator(weight);
  return accumulator && !accumulator->post_hooks().empty();
}

}  // namespace

WeightCasts::WeightCasts(const std::vector<Tensor>& weights, bool wanted) : outer_(inUse) {
  const bool gradients = at::GradMode::is_enabled();
  if (!wanted || (inUse && (inUse->withGradients_ || !gradients))) return;
  if (gradients && std::any_of(weights.begin(), weights.end(), isAwaited)) return;
  // Frozen ones by themselves: all that one operation gives wants gradients as soon as one of its inputs does.
  Tensors learning, frozen;
  for (const auto& each : weights) (gradients && each.requires_grad() ? learning : frozen).push_back(each);
  const auto keep = [&](const Tensors& own, const Tensors& casts) {
    for (size_t i = 0; i < own.size(); ++i) casts_[own[i].unsafeGetTensorImpl()] = casts[i];
  };
  if (!learning.empty()) keep(learning, CastAll::apply(at::TensorList(learning)));
  at::NoGradGuard guard;
  keep(frozen, castAll(frozen, at::kBFloat16));
  withGradients_ = gradients;
  inUse = this;
}

WeightCasts::~WeightCasts() { inUse = outer_; }

const Tensor& WeightCasts::of(const Tensor& weight) {
  if (!inUse || (at::GradMode::is_enabled() && !inUse->withGradients_)) return weight;
  const auto found = inUse->casts_.find(weight.unsafeGetTensorImpl());
  return found == inUse->casts_.end() ? weight : found->second;
}

}  // namespace afa::nn
