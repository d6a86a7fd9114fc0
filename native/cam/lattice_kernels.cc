#include "cam/lattice_kernels.h"

#include <algorithm>
#include <bit>
#include <type_traits>

#include "cam/vectorised.h"

namespace afa::cam {

namespace {

// A lane by name: over plain arrays GCC 12 keeps the sums in memory and adds one float at a time.
typedef float Lane __attribute__((vector_size(kLane * sizeof(float))));
typedef float UnalignedLane __attribute__((vector_size(kLane * sizeof(float)), aligned(sizeof(float)), may_alias));

constexpr int64_t kMostLanes = 4;  // of a row at a time: with three such rows all registers are in use

template <int64_t Count>
AFA_INLINE void load(const float* from, Lane* to) {
  for (int64_t k = 0; k < Count; ++k) to[k] = reinterpret_cast<const UnalignedLane*>(from)[k];
}

template <int64_t Count>
AFA_INLINE void store(const Lane* from, float* to) {
  for (int64_t k = 0; k < Count; ++k) reinterpret_cast<UnalignedLane*>(to)[k] = from[k];
}

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

template <int64_t Count>
AFA_INLINE void addLinks(const float* rows, int64_t stride, const Link* link, const Link* last, Lane* sum) {
  for (; link != last; ++link) {
    Lane row[Count];
    load<Count>(rows + link->row * stride, row);
    for (int64_t k = 0; k < Count; ++k) sum[k] += link->weight * row[k];
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
    constexpr int64_t count = decltype(lanes)::value;
    for (int64_t v = begin; v < end; ++v) {
      Lane sum[count] = {};
      addLinks<count>(values + at, stride, links + starts[v], links + starts[v + 1], sum);
      store<count>(sum, out + v * stride + at);
    }
  });
}

AFA_VECTORISED
void blurChains(const Chains& chains, int64_t begin, int64_t end, int64_t stride, float* lattice) {
  eachPart(stride, [&](auto lanes, int64_t at) __attribute__((always_inline)) {
    constexpr int64_t count = decltype(lanes)::value;
    for (int64_t c = begin; c < end; ++c) {
      const int32_t* vertex = chains.vertices.data() + chains.starts[c];
      const int32_t* last = chains.vertices.data() + chains.starts[c + 1];
      Lane before[count] = {}, here[count], after[count], blurred[count];
      float* row = lattice + *vertex * stride + at;
      load<count>(row, here);
      while (++vertex != last) {
        float* next = lattice + *vertex * stride + at;
        load<count>(next, after);
        for (int64_t k = 0; k < count; ++k) {
          blurred[k] = here[k] + 0.5F * (before[k] + after[k]);
          before[k] = here[k];
          here[k] = after[k];
        }
        store<count>(blurred, row);
        row = next;
      }
      for (int64_t k = 0; k < count; ++k) blurred[k] = here[k] + 0.5F * before[k];
      store<count>(blurred, row);
    }
  });
}

AFA_VECTORISED
void updatePixels(const float* logits, int64_t stride, const std::vector<Message>& messages, int64_t begin,
                  int64_t end, float* q) {
  for (int64_t i = begin; i < end; ++i) {
    float* row = q + i * stride;
    eachPart(stride, [&](auto lanes, int64_t at) __attribute__((always_inline)) {
      constexpr int64_t count = decltype(lanes)::value;
      Lane sum[count];
      load<count>(logits + i * stride + at, sum);
      for (const auto& [lattice, slice] : messages) {
        const Link* first = slice.links + i * slice.count;
        addLinks<count>(lattice + at, stride, first, first + slice.count, sum);
      }
      store<count>(sum, row + at);
    });
    softmaxRow(row, stride);
  }
}

}  // namespace afa::cam
