// Multi-scale class activation maps (AFA, section 3.1, and the original's multi_scale_cam_with_aff_mat).
#pragma once
#include <vector>

#include "nn/wetr.h"

namespace afa::cam {

struct MultiScaleConfig {
  std::vector<double> scales;  // 1 always runs first, as in the original
  bool affinity = false;       // also the affinity of the largest scale
  bool flippedAffinity = false;  // for the flipped images as well: [2B, N, N] instead of [B, N, N]
  int64_t chunk = 0;           // images per pass, 0: all; smaller passes hold less memory
  // [B, numClasses-1, h, w], or none: maps at scale 1 that another pass has made. Only the mirror images pass then.
  at::Tensor scaleOne;
};

struct MultiScaleOutput {
  at::Tensor cam;       // [B, numClasses-1, H, W], each map scaled to 0..1
  at::Tensor affinity;  // [B or 2B, h*w, h*w], h x w the grid of the largest scale
  int64_t gridHeight = 0, gridWidth = 0;
  std::string graphFault;  // why passes run without CUDA graphs from now on; said once
};

// images [B, 3, H, W], normalised. Runs without gradients, in the model's present mode.
MultiScaleOutput multiScaleCam(const nn::WeTr& model, const at::Tensor& images, const MultiScaleConfig& config);

}  // namespace afa::cam
