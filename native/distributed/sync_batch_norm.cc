#include "distributed/sync_batch_norm.h"

#include <torch/csrc/autograd/custom_function.h>

#include "distributed/collectives.h"

namespace afa::distributed {

namespace {

const std::vector<int64_t> kAllButChannels{0, 2, 3};

at::Tensor perChannel(const at::Tensor& values) { return values.view({1, -1, 1, 1}); }

struct Statistics {
  at::Tensor mean, variance;  // float64 [C], biased
  at::Tensor count;           // float64 [1]: as a number of the host's it would have to wait for a GPU
};

// Sums travel as float64: the variance as a difference of two of them keeps float32's precision.
Statistics globalStatistics(const Group& group, const at::Tensor& x) {
  auto [variance, mean] = at::var_mean(x, kAllButChannels, /*correction=*/0);
  mean = mean.to(at::kDouble);
  auto square = variance.to(at::kDouble) + mean.square();
  const double local = static_cast<double>(x.numel() / x.size(1));
  auto count = at::full({1}, local, mean.options());
  auto sums = sumNow(group, at::cat({mean * local, square * local, count}), "syncBatchNorm");
  const int64_t channels = x.size(1);
  auto total = sums.narrow(0, 2 * channels, 1);
  auto globalMean = sums.narrow(0, 0, channels) / total;
  return {globalMean, sums.narrow(0, channels, channels) / total - globalMean.square(), total};
}

void moveTowards(const at::Tensor& running, const at::Tensor& value, double momentum) {
  running.mul_(1 - momentum).add_(value.to(running.scalar_type()), momentum);
}

class SyncBatchNorm : public torch::autograd::Function<SyncBatchNorm> {
 public:
  using Context = torch::autograd::AutogradContext;

  static at::Tensor forward(Context* context, const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                            const std::shared_ptr<Group>& group, const BatchNormParts& parts) {
    const auto stats = globalStatistics(*group, x);
    moveTowards(parts.runningMean, stats.mean, parts.momentum);
    moveTowards(parts.runningVar, stats.variance * (stats.count / (stats.count - 1).clamp_min(1)), parts.momentum);
    auto mean = stats.mean.to(x.scalar_type()), variance = stats.variance.to(x.scalar_type());
    auto inverse = (stats.variance + parts.eps).rsqrt().to(x.scalar_type());
    context->save_for_backward({x, weight, mean, inverse, stats.count});
    context->saved_data["group"] = c10::IValue::make_capsule(c10::make_intrusive<Held>(group));
    return at::batch_norm(x, weight, bias, mean, variance, /*training=*/false, 0.0, parts.eps, /*cudnn_enabled=*/false);
  }

  static torch::autograd::variable_list backward(Context* context, torch::autograd::variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const auto &x = saved[0], &weight = saved[1], &mean = saved[2], &inverse = saved[3], &count = saved[4];
    const auto& dy = gradients[0];
    const int64_t channels = x.size(1);
    const auto group = c10::static_intrusive_pointer_cast<Held>(context->saved_data["group"].toCapsule())->group;

    auto centred = x - perChannel(mean);
    auto sumDy = dy.sum(kAllButChannels, /*keepdim=*/false, at::kDouble);
    auto sumDyCentred = (dy * centred).sum(kAllButChannels, /*keepdim=*/false, at::kDouble);
    auto sums = sumNow(*group, at::cat({sumDy, sumDyCentred}), "syncBatchNorm");
    auto meanDy = (sums.narrow(0, 0, channels) / count).to(x.scalar_type());
    auto slope = (sums.narrow(0, channels, channels) / count).to(x.scalar_type()) * inverse.square();
    auto dx = (dy - perChannel(meanDy) - centred * perChannel(slope)) * perChannel(weight * inverse);
    // Of this rank's batch alone: the Reducer averages them as it does every parameter's.
    auto dWeight = sumDyCentred.to(weight.scalar_type()) * inverse;
    return {dx, dWeight, sumDy.to(weight.scalar_type()), {}, {}};
  }

 private:
  struct Held : torch::CustomClassHolder {
    explicit Held(std::shared_ptr<Group> group) : group(std::move(group)) {}
    std::shared_ptr<Group> group;
  };
};

}  // namespace

at::Tensor syncBatchNorm(const std::shared_ptr<Group>& group, const at::Tensor& x, const BatchNormParts& parts) {
  return SyncBatchNorm::apply(x, parts.weight, parts.bias, group, parts);
}

}  // namespace afa::distributed
