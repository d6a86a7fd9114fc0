// PAR inside each image's box, at half its size (the original's refine_cams_with_cls_label).
#pragma once
#include "cam/par.h"

namespace afa::cam {

// images [B, 3, H, W] in 0..1, masks [B, c, H, W], boxes int32 [B, 4] of y0, y1, x0, x1 on the CPU.
// Returns [B, c, H, W], 0 outside of the boxes. On CUDA one sequence of kernels does all images, whatever their boxes.
at::Tensor refineInBoxes(const at::Tensor& images, const at::Tensor& masks, const at::Tensor& boxes,
                         const ParConfig& config);

}  // namespace afa::cam
