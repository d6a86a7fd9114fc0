#include "cam/par_kernels.h"

#include <algorithm>
#include <cmath>

#include "cam/vectorised.h"

namespace afa::cam {

namespace {

constexpr float kImageWeight = 0.3F;  // w1 of the paper's equation 9
constexpr int64_t kTile = 64;         // pixels handled together: their accumulators stay in registers

}  // namespace

void padReplicate(const float* plane, const Grid& grid, float* padded) {
  const int64_t width = grid.paddedWidth();
  for (int64_t y = 0; y < grid.h + 2 * grid.pad; ++y) {
    const float* from = plane + std::clamp<int64_t>(y - grid.pad, 0, grid.h - 1) * grid.w;
    float* to = padded + y * width;
    std::fill(to, to + grid.pad, from[0]);
    std::copy(from, from + grid.w, to + grid.pad);
    std::fill(to + grid.pad + grid.w, to + width, from[grid.w - 1]);
  }
}

AFA_VECTORISED
void similarityRow(const float* paddedImage, const Grid& grid, const std::vector<Offset>& offsets, int64_t y,
                   float* logits) {
  const int64_t count = static_cast<int64_t>(offsets.size()), width = grid.paddedWidth(), plane = grid.h * grid.w;
  for (int64_t x0 = 0; x0 < grid.w; x0 += kTile) {
    const int64_t n = std::min(kTile, grid.w - x0);
    for (int64_t k = 0; k < count; ++k) std::fill_n(logits + k * plane + y * grid.w + x0, n, 0.0F);
    for (int64_t c = 0; c < 3; ++c) {
      const float* centre = paddedImage + c * grid.paddedSize() + (y + grid.pad) * width + grid.pad + x0;
      // In double, as torch.std accumulates: a flat neighbourhood must give exactly zero.
      double mean[kTile] = {}, square[kTile] = {};
      for (int64_t k = 0; k < count; ++k) {
        const float* from = centre + offsets[k].dy * width + offsets[k].dx;
        for (int64_t x = 0; x < n; ++x) mean[x] += from[x];
      }
      for (int64_t x = 0; x < n; ++x) mean[x] /= static_cast<double>(count);
      for (int64_t k = 0; k < count; ++k) {
        const float* from = centre + offsets[k].dy * width + offsets[k].dx;
        for (int64_t x = 0; x < n; ++x) square[x] += (from[x] - mean[x]) * (from[x] - mean[x]);
      }
      float deviation[kTile];
      for (int64_t x = 0; x < n; ++x)
        deviation[x] = static_cast<float>(std::sqrt(square[x] / static_cast<double>(count - 1))) + 1e-8F;
      for (int64_t k = 0; k < count; ++k) {
        const float* from = centre + offsets[k].dy * width + offsets[k].dx;
        float* to = logits + k * plane + y * grid.w + x0;
        for (int64_t x = 0; x < n; ++x) {
          const float scaled = std::abs(from[x] - centre[x]) / deviation[x] / kImageWeight;
          to[x] -= scaled * scaled / 3.0F;
        }
      }
    }
  }
}

AFA_VECTORISED
void averageRow(const float* paddedMasks, const Grid& grid, const std::vector<Offset>& offsets,
                const float* weights, int64_t channels, int64_t y, float* out) {
  const int64_t count = static_cast<int64_t>(offsets.size()), width = grid.paddedWidth(), plane = grid.h * grid.w;
  for (int64_t x0 = 0; x0 < grid.w; x0 += kTile) {
    const int64_t n = std::min(kTile, grid.w - x0);
    for (int64_t c = 0; c < channels; ++c) {
      const float* centre = paddedMasks + c * grid.paddedSize() + (y + grid.pad) * width + grid.pad + x0;
      float sum[kTile] = {};
      for (int64_t k = 0; k < count; ++k) {
        const float* from = centre + offsets[k].dy * width + offsets[k].dx;
        const float* weight = weights + k * plane + y * grid.w + x0;
        for (int64_t x = 0; x < n; ++x) sum[x] += weight[x] * from[x];
      }
      std::copy(sum, sum + n, out + c * plane + y * grid.w + x0);
    }
  }
}

}  // namespace afa::cam
