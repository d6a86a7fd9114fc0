// Batch normalisation over the batches of all processes (Ioffe & Szegedy 2015 on the global batch).
#pragma once
#include <ATen/ATen.h>

#include <memory>

namespace afa::distributed {

class Group;

struct BatchNormParts {
  at::Tensor weight, bias, runningMean, runningVar;  // [C]
  double momentum, eps;
};

// x [B, C, H, W] on every rank, B may differ; running statistics move as those of one process with all batches.
at::Tensor syncBatchNorm(const std::shared_ptr<Group>& group, const at::Tensor& x, const BatchNormParts& parts);

}  // namespace afa::distributed
