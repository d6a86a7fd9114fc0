#include "distributed/reducer.h"

#include <torch/csrc/distributed/c10d/comm.hpp>

#include "distributed/pending.h"

namespace afa::distributed {

namespace {

// Gradients arrive last layer first, so the buckets are listed from the back; the first one to be sent is small, to
// begin early. After the first step the Reducer orders them by when gradients really came.
std::vector<std::vector<size_t>> buckets(const std::vector<at::Tensor>& parameters, int64_t bytes, int64_t firstBytes) {
  const std::vector<size_t> limits{static_cast<size_t>(firstBytes), static_cast<size_t>(bytes)};
  auto [indices, sizes] = c10d::compute_bucket_assignment_by_size(parameters, limits);
  return {indices.rbegin(), indices.rend()};
}

std::unordered_map<size_t, std::string> indexed(const std::vector<std::string>& names) {
  std::unordered_map<size_t, std::string> out;
  for (size_t i = 0; i < names.size(); ++i) out[i] = names[i];
  return out;
}

}  // namespace

GradientReducer::GradientReducer(const std::shared_ptr<Group>& group, std::vector<at::Tensor> parameters,
                                 const std::vector<std::string>& names, int64_t bucketBytes, int64_t firstBucketBytes,
                                 bool half)
    : group(group),
      parameters_(parameters),
      names_(names),
      reducer_(parameters, buckets(parameters, bucketBytes, firstBucketBytes), group->c10dGroup(),
               std::vector<bool>(parameters.size(), false), bucketBytes, /*find_unused_parameters=*/false,
               /*gradient_as_bucket_view=*/true, indexed(names), firstBucketBytes,
               /*skip_all_reduce_unused_params=*/false, /*use_python_reducer=*/false,
               std::vector<int64_t>{firstBucketBytes, bucketBytes}) {
  if (half) reducer_.register_builtin_comm_hook(c10d::BuiltinCommHookType::FP16_COMPRESS);
}

void GradientReducer::backward(const at::Tensor& loss) {
  awaitNow(group->speaker(), [&] {
    reducer_.prepare_for_forward();
    reducer_.rebuild_buckets();
    reducer_.prepare_for_backward({});
    loss.backward();
    checkComplete();
  });
}

// A parameter without a gradient leaves its bucket unsent; c10d would say so at the next step, by index.
void GradientReducer::checkComplete() {
  try {
    reducer_.check_finalized();
  } catch (const c10::Error&) {
    std::string missing;
    int count = 0;
    for (size_t i = 0; i < parameters_.size(); ++i)
      if (!parameters_[i].grad().defined() && count++ < 3) missing += (missing.empty() ? "" : ", ") + names_[i];
    if (count == 0) throw;
    if (count > 3) missing += " and " + std::to_string(count - 3) + " more";
    TORCH_CHECK(false, "Expected a gradient for every parameter that the outputs depend on but ", missing,
                " received none: name the outputs that the loss is made of");
  }
}

int64_t GradientReducer::bucketCount() const { return static_cast<int64_t>(reducer_.get_grad_buckets().size()); }

}  // namespace afa::distributed
