// All-MLP decoder (SegFormer, section 3.2): every stage to one width, to stage 1's size, fused by a 1x1
// convolution with BatchNorm and ReLU, channel dropout, prediction.
#pragma once
#include "nn/mix_transformer.h"

namespace afa::nn {

class SegFormerHead {
 public:
  SegFormerHead(StateDict& state, const std::string& name, const std::array<int64_t, 4>& inChannels,
                int64_t embeddingDim, int64_t numClasses, double dropout);
  // [B, H_i, W_i, C_i] x 4 -> logits [B, numClasses, H_1, W_1]
  at::Tensor forward(const std::array<at::Tensor, 4>& stages, bool training) const;

  void syncBatchNorm(std::shared_ptr<distributed::Group> group) { norm_.syncAcross = std::move(group); }

 private:
  int64_t embeddingDim_;
  double dropout_;
  Linear linearC4_, linearC3_, linearC2_, linearC1_;
  Conv2d fuse_;
  BatchNorm2d norm_;
  Conv2d predict_;
};

}  // namespace afa::nn
