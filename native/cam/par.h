// Pixel-adaptive refinement (AFA, section 3.3): masks are averaged over dilated 3x3 neighbourhoods with
// weights from image similarity and position.
#pragma once
#include <ATen/ATen.h>

#include <vector>

namespace afa::cam {

struct ParConfig {
  std::vector<int64_t> dilations;
  int64_t iterations;
};

// images [B, 3, h, w] in 0..1; masks [B, c, *, *], resized to h x w with aligned corners as the original does.
// Returns [B, c, h, w]. The weights depend on the image alone: pass every mask of an image in one call.
at::Tensor refine(const at::Tensor& images, const at::Tensor& masks, const ParConfig& config);

// The kernels of refineInBoxes() (cam/refine_in_boxes.h), or undefined where there are none for these tensors.
at::Tensor refineBoxesFused(const at::Tensor& images, const at::Tensor& masks, const at::Tensor& boxes,
                            const ParConfig& config);

}  // namespace afa::cam
