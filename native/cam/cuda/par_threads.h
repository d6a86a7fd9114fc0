// PAR (see cam/par.h) of one pixel, for a batch of images of different sizes in one buffer: image b fills the top left
// heights[b] x widths[b] of its planes, which are `rows` x `columns`.
#pragma once
#include <cmath>
#include <cstdint>

#include "cam/cuda/host_device.h"

namespace afa::cam::cuda {

constexpr float kImageWeight = 0.3F;   // w1 of the paper's equation 9
constexpr int kChannelsAtOnce = 8;     // masks averaged by one read of the weights: accumulators stay in registers

// Where an image lies in its crop, half-open, as the loader writes it: y0, y1, x0, x1.
struct Box {
  int32_t y0, y1, x0, x1;
  AFA_HD int height() const { return y1 - y0; }
  AFA_HD int width() const { return x1 - x0; }
};

// PAR works at half the size of a box, at least 1.
AFA_HD int half(int size) { return size < 4 ? 1 : size / 2; }

struct Planes {
  int rows, columns;     // of every plane of the buffers
  const Box* boxes;      // one for each image, whose half sizes are its grid; null: every image fills its planes
  int count;             // neighbours, 8 for each dilation
  const int32_t* shifts;  // [count, 2]: dy, dx

  AFA_HD int height(int image) const { return boxes ? half(boxes[image].height()) : rows; }
  AFA_HD int width(int image) const { return boxes ? half(boxes[image].width()) : columns; }
  AFA_HD int64_t size() const { return static_cast<int64_t>(rows) * columns; }
};

AFA_HD int clampTo(int value, int size) { return value < 0 ? 0 : value >= size ? size - 1 : value; }

// Offset of neighbour k of (y, x) within a plane of an h x w image; beyond an edge, of the edge: replicate padding
// without the copy.
AFA_HD int64_t neighbour(const Planes& p, int h, int w, int k, int y, int x) {
  const int ny = clampTo(y + p.shifts[2 * k], h), nx = clampTo(x + p.shifts[2 * k + 1], w);
  return static_cast<int64_t>(ny) * p.columns + nx;
}

// weights[b, k, y, x] of every neighbour k: softmax over k of the image's similarity, plus the position's weight.
// images [B, 3, rows, columns] in 0..1, position [count], weights [B, count, rows, columns].
AFA_HD void weighPixel(const Planes& p, const float* images, const float* position, float* weights, int image, int y,
                       int x) {
  const int h = p.height(image), w = p.width(image);
  if (y >= h || x >= w) return;
  const int64_t plane = p.size(), at = static_cast<int64_t>(y) * p.columns + x;
  float* own = weights + image * p.count * plane + at;
  for (int c = 0; c < 3; ++c) {
    const float* values = images + (static_cast<int64_t>(image) * 3 + c) * plane;
    // In double, as torch.std accumulates: a flat neighbourhood must give exactly zero.
    double mean = 0, square = 0;
    for (int k = 0; k < p.count; ++k) mean += values[neighbour(p, h, w, k, y, x)];
    mean /= p.count;
    for (int k = 0; k < p.count; ++k) {
      const double apart = values[neighbour(p, h, w, k, y, x)] - mean;
      square += apart * apart;
    }
    const float deviation = static_cast<float>(sqrt(square / (p.count - 1))) + 1e-8F;
    for (int k = 0; k < p.count; ++k) {
      const float scaled = fabsf(values[neighbour(p, h, w, k, y, x)] - values[at]) / deviation / kImageWeight;
      own[k * plane] = (c == 0 ? 0.0F : own[k * plane]) - scaled * scaled / 3.0F;
    }
  }
  float largest = own[0], sum = 0;
  for (int k = 1; k < p.count; ++k) largest = fmaxf(largest, own[k * plane]);
  for (int k = 0; k < p.count; ++k) sum += expf(own[k * plane] - largest);
  for (int k = 0; k < p.count; ++k) own[k * plane] = expf(own[k * plane] - largest) / sum + position[k];
}

// One round: to[b, c, y, x] = sum over k of weights[b, k, y, x] * from[b, c] at neighbour k, for channels
// first ... first + 7 of `channels`.
AFA_HD void averagePixel(const Planes& p, const float* weights, const float* from, float* to, int channels, int first,
                         int image, int y, int x) {
  const int h = p.height(image), w = p.width(image);
  if (y >= h || x >= w) return;
  const int64_t plane = p.size(), at = static_cast<int64_t>(y) * p.columns + x;
  const float* weight = weights + image * p.count * plane + at;
  const float* masks = from + (static_cast<int64_t>(image) * channels + first) * plane;
  const int n = channels - first < kChannelsAtOnce ? channels - first : kChannelsAtOnce;
  float sums[kChannelsAtOnce] = {};
  AFA_UNROLL(4)  // several weights on their way from DRAM at once
  for (int k = 0; k < p.count; ++k) {
    const float own = weight[k * plane];
    const float* values = masks + neighbour(p, h, w, k, y, x);
    AFA_UNROLL(kChannelsAtOnce)
    for (int c = 0; c < kChannelsAtOnce; ++c)
      if (c < n) sums[c] += own * values[c * plane];
  }
  float* out = to + (static_cast<int64_t>(image) * channels + first) * plane + at;
  AFA_UNROLL(kChannelsAtOnce)
  for (int c = 0; c < kChannelsAtOnce; ++c)
    if (c < n) out[c * plane] = sums[c];
}

// Bilinear reading of a h x w window at row `at` of `outSize`: two neighbours and the second's share.
struct Between {
  int low, high;
  float share;
};
AFA_HD Between between(int at, int inSize, int outSize, bool alignCorners) {
  float place;
  if (alignCorners) {
    place = outSize > 1 ? static_cast<float>(inSize - 1) / static_cast<float>(outSize - 1) * at : 0.0F;
  } else {
    place = static_cast<float>(inSize) / static_cast<float>(outSize) * (at + 0.5F) - 0.5F;
    if (place < 0) place = 0;
  }
  int low = static_cast<int>(place);
  if (low > inSize - 1) low = inSize - 1;
  return {low, low < inSize - 1 ? low + 1 : low, place - low};
}

AFA_HD float blend(const float* window, int stride, const Between& y, const Between& x) {
  const float* top = window + static_cast<int64_t>(y.low) * stride;
  const float* bottom = window + static_cast<int64_t>(y.high) * stride;
  return (1 - y.share) * ((1 - x.share) * top[x.low] + x.share * top[x.high]) +
         y.share * ((1 - x.share) * bottom[x.low] + x.share * bottom[x.high]);
}

// The inside of each image's box at half its size: full [B, channels, height, width] -> small
// [B, channels, rows, columns]. Images are resized by pixel centres, masks with aligned corners as PAR does.
AFA_HD void shrinkPixel(const Planes& p, const float* full, int height, int width, float* small, int channels,
                        bool alignCorners, int image, int channel, int y, int x) {
  const int h = p.height(image), w = p.width(image);
  if (y >= h || x >= w) return;
  const Box& box = p.boxes[image];
  const int64_t index = static_cast<int64_t>(image) * channels + channel;
  const float* window = full + index * height * width + static_cast<int64_t>(box.y0) * width + box.x0;
  const auto row = between(y, box.height(), h, alignCorners), column = between(x, box.width(), w, alignCorners);
  small[index * p.size() + static_cast<int64_t>(y) * p.columns + x] = blend(window, width, row, column);
}

// And back by pixel centres, 0 outside of the box: small [B, channels, rows, columns] -> full.
AFA_HD void growPixel(const Planes& p, const float* small, float* full, int height, int width, int channels, int image,
                      int channel, int y, int x) {
  const Box& box = p.boxes[image];
  const int64_t index = static_cast<int64_t>(image) * channels + channel;
  float value = 0;
  if (y >= box.y0 && y < box.y1 && x >= box.x0 && x < box.x1) {
    const auto row = between(y - box.y0, p.height(image), box.height(), false);
    const auto column = between(x - box.x0, p.width(image), box.width(), false);
    value = blend(small + index * p.size(), p.columns, row, column);
  }
  full[index * height * width + static_cast<int64_t>(y) * width + x] = value;
}

}  // namespace afa::cam::cuda
