// True inside each image's box.
#pragma once
#include <ATen/ATen.h>

namespace afa::cam {

// boxes int32 [B, 4] of y0, y1, x0, x1 (half-open) on the CPU -> bool [B, height, width] on `device`, where it is made:
// only the corners travel.
at::Tensor boxMask(const at::Tensor& boxes, int64_t height, int64_t width, at::Device device);

}  // namespace afa::cam
