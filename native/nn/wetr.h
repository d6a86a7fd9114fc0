// WeTr of AFA (Ru et al., CVPR 2022): Mix-Transformer encoder, classifier whose weights give the CAM,
// SegFormer head, and a 1x1 projection of the last two blocks' attention that predicts pixel affinity.
#pragma once
#include <memory>

#include "nn/segformer_head.h"

namespace afa {
struct GraphMemory;
}

namespace afa::nn {

struct WeTrConfig {
  MixTransformerConfig encoder;
  int64_t numClasses;  // with background
  int64_t embeddingDim = 256;
  bool maxPooling = true;  // "gmp"; false: "gap"
  double headDropout = 0.1;  // of whole channels, before the prediction
  bool bfloat16 = false;     // products and convolutions by autocast; parameters and outputs stay float32
  bool cudaGraphs = true;    // see cam/cam_graphs.h
};

// Which outputs a forward pass computes; the rest stay undefined and cost nothing.
struct WeTrWanted {
  bool cls = false, seg = false, cam = false, affinity = false, attention = false;
  bool segDetach = false;      // the segmentation head sends no gradient into the encoder
  int64_t affinityImages = 0;  // affinity for the first so many images only; 0: all
};

struct WeTrOutput {
  at::Tensor cls;       // [B, numClasses-1] logits
  at::Tensor seg;       // [B, numClasses, H/4, W/4] logits
  at::Tensor cam;       // [B, numClasses-1, h, w], not yet rectified, no gradient
  at::Tensor affinity;  // [B, h*w, h*w] in (0, 1)
  std::vector<at::Tensor> attention;  // one for each block, see QueryKey::pooledLogits
};

class WeTr {
 public:
  explicit WeTr(const WeTrConfig& config);
  // The four stage outputs, [B, C_i, H_i, W_i].
  std::vector<at::Tensor> features(const at::Tensor& image) const;
  WeTrOutput forward(const at::Tensor& image, const WeTrWanted& wanted) const;
  void to(at::Device device);
  // From now on the head normalises over the batches of all processes of the group.
  void syncBatchNorm(std::shared_ptr<distributed::Group> group) { decoder_.syncBatchNorm(std::move(group)); }

  const StateDict& state() const { return state_; }
  bool bfloat16() const { return config_.bfloat16; }
  bool cudaGraphs() const { return config_.cudaGraphs; }

  // What others keep for as long as the weights lie where they lie: CUDA graphs of passes over them.
  mutable std::shared_ptr<void> kept;
  mutable std::shared_ptr<GraphMemory> graphMemory;
  bool training = true;

 private:
  at::Tensor affinity(const std::vector<QueryKey>& lastTwo, int64_t images) const;

  StateDict state_;
  WeTrConfig config_;
  MixTransformer encoder_;
  SegFormerHead decoder_;
  Conv2d attnProj_;
  Conv2d classifier_;
};

}  // namespace afa::nn
