// Affinity of pairs of grid positions (see src/cam/affinity.ts), for one thread of each kernel.
#pragma once
#include <cstdint>

#include "cam/cuda/host_device.h"

namespace afa::cam::cuda {

constexpr int kMostPositions = 46340;  // of which all pairs have a number in an int
constexpr int kWalkChannels = 8;  // rows of scores that one reading of the affinity serves

// Positions of an h x w grid, row-major.
struct PairGrid {
  int h, w;
  AFA_HD int positions() const { return h * w; }
};

// The label at a grid position by nearest neighbour, as torch's upsample_nearest2d reads it. label [height, width].
AFA_HD int64_t labelAt(const int64_t* label, int height, int width, const PairGrid& grid, int position) {
  const float down = static_cast<float>(height) / static_cast<float>(grid.h);
  const float across = static_cast<float>(width) / static_cast<float>(grid.w);
  const int y = static_cast<int>(static_cast<float>(position / grid.w) * down);
  const int x = static_cast<int>(static_cast<float>(position % grid.w) * across);
  return label[static_cast<int64_t>(y < height ? y : height - 1) * width + (x < width ? x : width - 1)];
}

// 1: same class, 0: different, `ignored` where unknown or far. label [B, height, width], near [N, N] -> [B, N, N].
AFA_HD uint8_t pairLabel(const int64_t* label, int height, int width, const PairGrid& grid, const bool* near,
                         int ignored, int image, int i, int j) {
  if (!near[static_cast<int64_t>(i) * grid.positions() + j]) return static_cast<uint8_t>(ignored);
  const int64_t* own = label + static_cast<int64_t>(image) * height * width;
  const int64_t a = labelAt(own, height, width, grid, i), b = labelAt(own, height, width, grid, j);
  if (a == ignored || b == ignored) return static_cast<uint8_t>(ignored);
  return a == b ? 1 : 0;
}

// What one pair adds: 1 - a where the classes are the same, a where they differ; and the counts of both.
struct PairSums {
  float same, different;
  int sameCount, differentCount;
  AFA_HD void add(float affinity, uint8_t label) {
    if (label == 1) {
      same += 1 - affinity;
      ++sameCount;
    } else if (label == 0) {
      different += affinity;
      ++differentCount;
    }
  }
  AFA_HD void add(const PairSums& other) {
    same += other.same;
    different += other.different;
    sameCount += other.sameCount;
    differentCount += other.differentCount;
  }
};

// The gradient of a pair's affinity from those of the two sums.
AFA_HD float pairGradient(uint8_t label, float ofSame, float ofDifferent) {
  return label == 1 ? -ofSame : label == 0 ? ofDifferent : 0.0F;
}

// A part of one random-walk step that arrives at position j, from those within `radius` in both directions: over the
// grid's rows `slice`, `slice + slices`, ... of them, sums of a(i, j)² and of scores(i) a(i, j)². See endWalk.
struct Walk {
  float total;
  float scores[kWalkChannels];
  AFA_HD void add(const Walk& other) {
    total += other.total;
    AFA_UNROLL(kWalkChannels)
    for (int c = 0; c < kWalkChannels; ++c) scores[c] += other.scores[c];
  }
};

// affinity [N, N] and scores [channels, N] of one image; channels first ... first + 7 are walked.
AFA_HD Walk walkTo(const float* affinity, const float* scores, const PairGrid& grid, int radius, int channels,
                   int first, int j, int slice, int slices) {
  const int n = grid.positions(), y = j / grid.w, x = j % grid.w;
  const int y0 = y - radius < 0 ? 0 : y - radius, x0 = x - radius < 0 ? 0 : x - radius;
  const int y1 = y + radius < grid.h ? y + radius : grid.h - 1;
  const int x1 = x + radius < grid.w ? x + radius : grid.w - 1;
  const int count = channels - first < kWalkChannels ? channels - first : kWalkChannels;
  Walk out = {};
  for (int row = y0 + slice; row <= y1; row += slices)
    for (int column = x0; column <= x1; ++column) {
      const int i = row * grid.w + column;
      const float a = affinity[static_cast<int64_t>(i) * n + j], square = a * a;
      out.total += square;
      AFA_UNROLL(kWalkChannels)
      for (int c = 0; c < kWalkChannels; ++c)
        if (c < count) out.scores[c] += scores[static_cast<int64_t>(first + c) * n + i] * square;
    }
  return out;
}

// Columns of the transition matrix sum to one, but for the 0.1 that keeps empty ones from dividing by zero.
AFA_HD void endWalk(const Walk& walk, float* out, const PairGrid& grid, int channels, int first, int j) {
  for (int c = 0; c < kWalkChannels && first + c < channels; ++c)
    out[static_cast<int64_t>(first + c) * grid.positions() + j] = walk.scores[c] / (walk.total + 0.1F);
}

}  // namespace afa::cam::cuda
