#include "cam/box_mask.h"

namespace afa::cam {

at::Tensor boxMask(const at::Tensor& boxes, int64_t height, int64_t width, at::Device device) {
  TORCH_CHECK(boxes.dim() == 2 && boxes.size(1) == 4, "Expected boxes of shape [B, 4] but received ", boxes.sizes());
  const auto corners = boxes.to(device, at::kInt, /*non_blocking=*/device.is_cuda());
  auto between = [&](int64_t first, int64_t size) {
    const auto at = at::arange(size, corners.options()).unsqueeze(0);
    return at.ge(corners.narrow(1, first, 1)).logical_and_(at.lt(corners.narrow(1, first + 1, 1)));
  };
  return between(0, height).unsqueeze(2).logical_and(between(2, width).unsqueeze(1));
}

}  // namespace afa::cam
