// Mix-FFN's depthwise 3 x 3 convolution with GELU (see nn/products.h), for one thread of the kernel.
#pragma once
#include <cmath>

#include "nn/cuda/pack.h"

namespace afa::nn::cuda {

constexpr int kStrip = 8;  // pixels of a row that one thread makes, for each weight that it loads

// Tokens [B, height, width, channels] in pairs of channels; fewer than 2^31 of an image, whose threads have numbers of
// 32 bits, which a GPU divides fast.
struct TokenGrid {
  int height, width, pairs;
  AFA_HD unsigned strips() const { return (width + kStrip - 1) / kStrip; }
  // Threads of an image: pairs of channels first, then strips of a row, then rows.
  AFA_HD unsigned threads() const { return height * strips() * pairs; }
};

AFA_HD float gelu(float x) { return 0.5F * x * (1.0F + erff(x * 0.70710678F)); }

// A pixel's column of three rows; beyond the image are zeros.
template <class T>
AFA_HD void loadColumn(const TokenGrid& grid, const Pack<T, 2>* image, int y, int x, int pair, float (&column)[3][2]) {
  AFA_UNROLL(3)
  for (int row = 0; row < 3; ++row) {
    const int from = y + row - 1;
    const bool inside = from >= 0 && from < grid.height && x >= 0 && x < grid.width;
    Pack<T, 2> values = {};
    if (inside) values = image[(static_cast<int64_t>(from) * grid.width + x) * grid.pairs + pair];
    column[row][0] = toFloat(values.values[0]);
    column[row][1] = toFloat(values.values[1]);
  }
}

// gelu(convolution + bias) of up to kStrip pixels and one pair of channels. weight [channels, 3, 3], bias [channels];
// sums are float32, rounded once.
template <class T>
AFA_HD void depthwiseGeluStrip(const TokenGrid& grid, const Pack<T, 2>* x, const float* weight, const float* bias,
                               Pack<T, 2>* out, int image, unsigned thread) {
  const unsigned row = thread / grid.pairs;
  const int pair = static_cast<int>(thread - row * grid.pairs);
  const int y = static_cast<int>(row / grid.strips()), strip = static_cast<int>(row % grid.strips());
  const int64_t before = static_cast<int64_t>(image) * grid.height * grid.width * grid.pairs;
  const Pack<T, 2>* own = x + before;
  float w[2][9], b[2];
  AFA_UNROLL(2)
  for (int c = 0; c < 2; ++c) {
    b[c] = bias[2 * pair + c];
    AFA_UNROLL(9)
    for (int k = 0; k < 9; ++k) w[c][k] = weight[(2 * pair + c) * 9 + k];
  }
  // Three columns that move along: each pixel is loaded once for this row.
  const int first = strip * kStrip;
  float window[3][3][2];
  loadColumn(grid, own, y, first - 1, pair, window[0]);
  loadColumn(grid, own, y, first, pair, window[1]);
  AFA_UNROLL(kStrip)
  for (int i = 0; i < kStrip; ++i) {
    const int column = first + i;
    if (column >= grid.width) return;
    loadColumn(grid, own, y, column + 1, pair, window[(i + 2) % 3]);
    Pack<T, 2> result;
    AFA_UNROLL(2)
    for (int c = 0; c < 2; ++c) {
      float sum = b[c];
      AFA_UNROLL(3)
      for (int dy = 0; dy < 3; ++dy) {
        AFA_UNROLL(3)
        for (int dx = 0; dx < 3; ++dx) sum += w[c][3 * dy + dx] * window[(i + dx) % 3][dy][c];
      }
      result.values[c] = rounded<T>(gelu(sum));
    }
    out[before + (static_cast<int64_t>(y) * grid.width + column) * grid.pairs + pair] = result;
  }
}

}  // namespace afa::nn::cuda
