// A model's weights in bfloat16, cast in a few launches for all, where autocast would cast each by itself.
#pragma once
#include <ATen/ATen.h>

#include <unordered_map>
#include <vector>

namespace afa::nn {

// In use on this thread from construction to the end of the block, which autocast must be on for: other operands become
// bfloat16 by it alone. Blocks within it use the same casts, unless they want gradients and the casts have none.
class WeightCasts {
 public:
  // Differentiable, if gradients are enabled. Nothing is cast without `wanted`, nor where a reducer waits for each
  // gradient as it comes.
  WeightCasts(const std::vector<at::Tensor>& weights, bool wanted);
  ~WeightCasts();

  // The weight's cast, where one is in use; else, as for undefined ones, the weight.
  static const at::Tensor& of(const at::Tensor& weight);

  WeightCasts(const WeightCasts&) = delete;
  WeightCasts& operator=(const WeightCasts&) = delete;

 private:
  std::unordered_map<const at::TensorImpl*, at::Tensor> casts_;
  WeightCasts* outer_;
  bool withGradients_ = false;
};

}  // namespace afa::nn
