// The fused CPU loops of PAR. Neighbour k of a pixel is read by offset from replicate-padded planes, so
// nothing is unfolded: 48 shifted copies of every mask in the original, none here.
#pragma once
#include <cstdint>
#include <vector>

namespace afa::cam {

struct Offset {
  int64_t dy, dx;
};

// Geometry shared by every plane of one call.
struct Grid {
  int64_t h, w, pad;
  int64_t paddedWidth() const { return w + 2 * pad; }
  int64_t paddedSize() const { return (h + 2 * pad) * (w + 2 * pad); }
};

// Copies plane [h, w] into [h + 2 pad, w + 2 pad], edges replicated.
void padReplicate(const float* plane, const Grid& grid, float* padded);

// logits[k, y, x] = -mean over channels of ((neighbour_k - centre) / (std over k + 1e-8) / 0.3)² for row y.
void similarityRow(const float* paddedImage, const Grid& grid, const std::vector<Offset>& offsets, int64_t y,
                   float* logits);

// out[c, y, x] = sum over k of weights[k, y, x] * mask[c] at neighbour k, for row y of every channel.
void averageRow(const float* paddedMasks, const Grid& grid, const std::vector<Offset>& offsets,
                const float* weights, int64_t channels, int64_t y, float* out);

}  // namespace afa::cam
