// AdamW (Loshchilov & Hutter 2019) by libtorch's fused kernel, in place.
#include "optim/adamw.h"

namespace afa {

namespace {

// One parameter group. A parameter without a gradient steps as if it were zero, as the original's do
// (it adds `0 * seg.sum()` to the loss): its moments decay and weight decay applies.
void step(std::vector<at::Tensor> parameters, std::vector<at::Tensor> firstMoments,
          std::vector<at::Tensor> secondMoments, std::vector<at::Tensor> steps, double learningRate, double beta1,
          double beta2, double weightDecay, double eps) {
  at::NoGradGuard guard;
  std::vector<at::Tensor> gradients;
  gradients.reserve(parameters.size());
  for (const auto& p : parameters) gradients.push_back(p.grad().defined() ? p.grad() : at::zeros_like(p));
  at::_foreach_add_(steps, 1);
  at::_fused_adamw_(parameters, gradients, firstMoments, secondMoments, /*max_exp_avg_sqs=*/{}, steps, learningRate,
                    beta1, beta2, weightDecay, eps, /*amsgrad=*/false, /*maximize=*/false);
}

}  // namespace

void registerOptim(Exports& m) {
  m.def("adamwStep",
        {"parameters", "firstMoments", "secondMoments", "steps", "learningRate", "beta1", "beta2", "weightDecay",
         "eps"},
        step);
  m.def("clearGrads", {"parameters"}, +[](std::vector<at::Tensor> parameters) {
    for (const auto& p : parameters) p.mutable_grad().reset();
  });
}

}  // namespace afa
