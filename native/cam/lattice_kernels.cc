#include "cam/lattice_kernels.h"

#include <algorithm>
#include <bit>
#include <type_traits>

#include "cam/vectorised.h"

namespace afa::cam {

namespace {

constexpr int64_t kMostLanes = 4;  // of a row at a time: with three such rows all registers are in use

// Calls body(lanes, offset) for the row's parts, with the number of lanes known to the compiler.
template <class Body>
AFA_INLINE void eachPart(int64_t stride, Body&& body) {
  for (int64_t at = 0; at < stride; at += kMostLanes * kLane) {
    switch (std::min((stride - at) / kLane, kMostLanes)) {
      case 1: body(std::integral_constant<int64_t, 1>(), at); break;
      case 2: body(std::integral_constant<int64_t, 2>(), at); break;
      case 3: body(std::integral_constant<int64_t, 3>(), at); break;
      default: body(std::integral_constant<int64_t, 4>(), at);
    }
  }
}

template <int64_t Width>
AFA_INLINE void addLinks(const float* rows, int64_t stride, const Link* link, const Link* last, float* sum) {
  for (; link != last; ++link) {
    const float* row = rows + link->row * stride;
    const float weight = link->weight;
    for (int64_t k = 0; k < Width; ++k) sum[k] += weight * row[k];
  }
}

// e^x for x <= 0, within 2 units in the last place; exactly 0 below -87, where floats end.
AFA_INLINE float expNegative(float x) {
  constexpr float kRound = 12582912.0F;  // 1.5 * 2^23: adding it rounds to a whole number, kept in the low bits
  const float shifted = std::max(x, -87.0F) * 1.44269504F + kRound;
  const float whole = shifted - kRound;
  const float r = std::max(x, -87.0F) - whole * 0.693359375F + whole * 2.12194440e-4F;
  // Minimax coefficients of Cephes' expf.
  float p = 1.9875691500e-4F;
  p = p * r + 1.3981999507e-3F;
  p = p * r + 8.3334519073e-3F;
  p = p * r + 4.1665795894e-2F;
  p = p * r + 1.6666665459e-1F;
  p = p * r + 5.0000001201e-1F;
  p = p * r * r + r + 1.0F;
  const float power = std::bit_cast<float>((std::bit_cast<int32_t>(shifted) + 127) << 23);
  return x < -87.0F ? 0.0F : p * power;
}

AFA_INLINE void softmaxRow(float* row, int64_t stride) {
  float most[kLane], sum[kLane] = {};
  std::copy_n(row, kLane, most);
  for (int64_t k = kLane; k < stride; k += kLane)
    for (int64_t j = 0; j < kLane; ++j) most[j] = std::max(most[j], row[k + j]);
  const float top = *std::max_element(most, most + kLane);
  for (int64_t k = 0; k < stride; k += kLane)
    for (int64_t j = 0; j < kLane; ++j) {
      row[k + j] = expNegative(row[k + j] - top);
      sum[j] += row[k + j];
    }
  float total = 0;
  for (int64_t j = 0; j < kLane; ++j) total += sum[j];
  const float scale = 1.0F / total;
  for (int64_t k = 0; k < stride; ++k) row[k] *= scale;
}

}  // namespace

AFA_VECTORISED
void gatherRows(const float* values, int64_t stride, const Link* links, const int64_t* starts, int64_t begin,
                int64_t end, float* out) {
  eachPart(stride, [&](auto lanes, int64_t at) __attribute__((always_inline)) {
    constexpr int64_t width = decltype(lanes)::value * kLane;
    for (int64_t v = begin; v < end; ++v) {
      float sum[width] = {};
      addLinks<width>(values + at, stride, links + starts[v], links + starts[v + 1], sum);
      std::copy_n(sum, width, out + v * stride + at);
    }
  });
}

AFA_VECTORISED
void blurChains(const Chains& chains, int64_t begin, int64_t end, int64_t stride, float* lattice) {
  eachPart(stride, [&](auto lanes, int64_t at) __attribute__((always_inline)) {
    constexpr int64_t width = decltype(lanes)::value * kLane;
    for (int64_t c = begin; c < end; ++c) {
      const int32_t* vertex = chains.vertices.data() + chains.starts[c];
      const int32_t* last = chains.vertices.data() + chains.starts[c + 1];
      float before[width] = {}, here[width], after[width];
      float* row = lattice + *vertex * stride + at;
      std::copy_n(row, width, here);
      while (++vertex != last) {
        float* next = lattice + *vertex * stride + at;
        for (int64_t k = 0; k < width; ++k) {
          after[k] = next[k];
          row[k] = here[k] + 0.5F * (before[k] + after[k]);
          before[k] = here[k];
          here[k] = after[k];
        }
        row = next;
      }
      for (int64_t k = 0; k < width; ++k) row[k] = here[k] + 0.5F * before[k];
    }
  });
}

AFA_VECTORISED
void updatePixels(const float* logits, int64_t stride, const std::vector<Message>& messages, int64_t begin,
                  int64_t end, float* q) {
  for (int64_t i = begin; i < end; ++i) {
    float* row = q + i * stride;
    eachPart(stride, [&](auto lanes, int64_t at) __attribute__((always_inline)) {
      constexpr int64_t width = decltype(lanes)::value * kLane;
      float sum[width];
      std::copy_n(logits + i * stride + at, width, sum);
      for (const auto& [lattice, slice] : messages) {
        const Link* first = slice.links + i * slice.count;
        addLinks<width>(lattice + at, stride, first, first + slice.count, sum);
      }
      std::copy_n(sum, width, row + at);
    });
    softmaxRow(row, stride);
  }
}

}  // namespace afa::cam
