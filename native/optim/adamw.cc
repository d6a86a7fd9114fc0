// AdamW (Loshchilov & Hutter 2019) by libtorch's fused kernel, in place.
#include "optim/adamw.h"

namespace afa {

namespace {

// One parameter group. A parameter without a gradient steps as if it were zero, as the original's do
// (it adds `0 * seg.sum()` to the loss): its moments decay and weight decay applies. Where foundInf [1] is 1 nothing
// changes: the decision is taken on the device, so the host need not know it yet. So may be the learning rate: a CUDA graph
// reads it from `rate`, float32 [], where it would keep a number for ever.
void step(std::vector<at::Tensor> parameters, std::vector<at::Tensor> firstMoments,
          std::vector<at::Tensor> secondMoments, std::vector<at::Tensor> steps, double learningRate, std::optional<at::Tensor> rate,
          double beta1, double beta2, double weightDecay, double eps, std::optional<at::Tensor> foundInf) {
  at::NoGradGuard guard;
  std::vector<at::Tensor> gradients;
  gradients.reserve(parameters.size());
  for (const auto& p : parameters) gradients.push_back(p.grad().defined() ? p.grad() : at::zeros_like(p));
  at::_foreach_add_(steps, 1);
  const auto update = [&](const auto& lr) {
    at::_fused_adamw_(parameters, gradients, firstMoments, secondMoments, /*max_exp_avg_sqs=*/{}, steps, lr, beta1, beta2,
                      weightDecay, eps, /*amsgrad=*/false, /*maximize=*/false, /*grad_scale=*/{}, foundInf);
  };
  if (rate) update(*rate);
  else update(learningRate);
  if (foundInf) at::_foreach_sub_(steps, std::vector<at::Tensor>(steps.size(), foundInf->squeeze()));
}

// float32 [1]: 1 where the loss or any gradient holds a NaN or an infinity, else 0. As GradScaler's found_inf, whose
// kernel reads all gradients at once.
at::Tensor findNonFinite(std::vector<at::Tensor> parameters, at::Tensor loss) {
  at::NoGradGuard guard;
  std::vector<at::Tensor> gradients;
  for (const auto& p : parameters)
    if (p.grad().defined()) gradients.push_back(p.grad());
  auto found = at::isfinite(loss.detach()).logical_not_().to(at::kFloat).reshape({1});
  if (gradients.empty()) return found;
  auto inverseScale = at::ones({1}, found.options());
  at::_amp_foreach_non_finite_check_and_unscale_(gradients, found, inverseScale);
  return found;
}

}  // namespace

void registerOptim(Exports& m) {
  m.def("adamwStep",
        {"parameters", "firstMoments", "secondMoments", "steps", "learningRate", "rate", "beta1", "beta2", "weightDecay",
         "eps", "foundInf"},
        step);
  m.def("findNonFinite", {"parameters", "loss"}, findNonFinite);
  m.def("clearGrads", {"parameters"}, +[](std::vector<at::Tensor> parameters) {
    for (const auto& p : parameters) p.mutable_grad().reset();
  });
}

}  // namespace afa
