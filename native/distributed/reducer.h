// DistributedDataParallel's engine: c10d's Reducer averages gradients in buckets while backward still runs.
#pragma once
#include <torch/csrc/distributed/c10d/reducer.hpp>

#include "distributed/process_group.h"

namespace afa::distributed {

class GradientReducer {
 public:
  // Parameters that all receive a gradient in every backward(), in the order of the forward pass; the same on all ranks.
  // `half`: gradients travel as float16 (c10d's own hook), and are float32 again on arrival.
  GradientReducer(const std::shared_ptr<Group>& group, std::vector<at::Tensor> parameters,
                  const std::vector<std::string>& names, int64_t bucketBytes, int64_t firstBucketBytes, bool half);

  // backward() whose gradients are the average over the ranks, on top of what was accumulated locally before.
  void backward(const at::Tensor& loss);
  int64_t bucketCount() const;

  const std::shared_ptr<Group> group;

 private:
  void checkComplete();

  std::vector<at::Tensor> parameters_;
  std::vector<std::string> names_;
  c10d::Reducer reducer_;
};

}  // namespace afa::distributed
