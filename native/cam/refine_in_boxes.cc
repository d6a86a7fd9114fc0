#include "cam/refine_in_boxes.h"

#include <algorithm>

namespace afa::cam {

namespace {

int64_t half(int64_t size) { return std::max<int64_t>(1, size / 2); }

// image [1, 3, h, w], masks [1, c, h, w].
at::Tensor refineAtHalfSize(const at::Tensor& image, const at::Tensor& masks, const ParConfig& config) {
  const int64_t h = image.size(2), w = image.size(3);
  auto small = at::upsample_bilinear2d(image, {half(h), half(w)}, /*align_corners=*/false);
  return at::upsample_bilinear2d(refine(small, masks, config), {h, w}, /*align_corners=*/false);
}

}  // namespace

at::Tensor refineInBoxes(const at::Tensor& images, const at::Tensor& masks, const at::Tensor& boxes,
                         const ParConfig& config) {
  at::NoGradGuard guard;
  const int64_t B = images.size(0), H = images.size(2), W = images.size(3);
  TORCH_CHECK(masks.dim() == 4 && masks.size(0) == B && masks.size(2) == H && masks.size(3) == W,
              "Expected masks of shape [", B, ", c, ", H, ", ", W, "] but received ", masks.sizes());
  TORCH_CHECK(boxes.is_cpu() && boxes.scalar_type() == at::kInt && boxes.numel() == 4 * B,
              "Expected boxes of shape [", B, ", 4], int32 on the CPU, but received ", boxes.sizes());
  const auto box = boxes.contiguous();
  const int32_t* corners = box.const_data_ptr<int32_t>();
  for (int64_t b = 0; b < B; ++b) {
    const int32_t *y = corners + 4 * b, *x = y + 2;
    TORCH_CHECK(0 <= y[0] && y[0] < y[1] && y[1] <= H && 0 <= x[0] && x[0] < x[1] && x[1] <= W,
                "Expected a box inside of ", H, " x ", W, " for image ", b, " but received rows ", y[0], " to ", y[1],
                ", columns ", x[0], " to ", x[1]);
  }
  if (auto fused = refineBoxesFused(images, masks, box, config); fused.defined()) return fused;
  auto out = at::zeros_like(masks, at::MemoryFormat::Contiguous);
  for (int64_t b = 0; b < B; ++b) {
    const int32_t *y = corners + 4 * b, *x = y + 2;
    auto inside = [&](const at::Tensor& t) {
      return t.narrow(0, b, 1).narrow(2, y[0], y[1] - y[0]).narrow(3, x[0], x[1] - x[0]);
    };
    inside(out).copy_(refineAtHalfSize(inside(images), inside(masks), config));
  }
  return out;
}

}  // namespace afa::cam
