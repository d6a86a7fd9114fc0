// Residual sum and LayerNorm of a token, for one lane of the lanes that share it.
#pragma once
#include "nn/cuda/pack.h"

namespace afa::nn::cuda {

constexpr int kQuad = 4;           // channels that a lane loads at once
constexpr int kMostQuadsEach = 4;  // that a lane keeps in registers
constexpr int kMostChannels = 32 * kMostQuadsEach * kQuad;

// What is normalised, [tokens, 4 * quads]: residual + branch + bias, but for those of residual and bias that are null.
template <class Branch>
struct Summands {
  const Pack<float, kQuad>* residual;
  const Pack<Branch, kQuad>* branch;
  const Pack<float, kQuad>* bias;  // [4 * quads]
};

// This lane's channels: quads lane, lane + lanes, ...
template <int kEach>
struct LaneChannels {
  float values[kEach][kQuad];
};

// Loads the lane's channels, stores their sum where `sum` is not null, and returns what they add up to.
template <int kEach, class Branch>
AFA_HD float gather(const Summands<Branch>& from, Pack<float, kQuad>* sum, int64_t token, int quads, int lane,
                    int lanes, LaneChannels<kEach>& own) {
  float total = 0;
  AFA_UNROLL(kEach)
  for (int i = 0; i < kEach; ++i) {
    const int quad = lane + i * lanes;
    Pack<float, kQuad> x = {};
    if (quad < quads) {
      const int64_t at = token * quads + quad;
      if (from.residual) x = from.residual[at];
      const Pack<Branch, kQuad> y = from.branch[at];
      AFA_UNROLL(kQuad)
      for (int c = 0; c < kQuad; ++c) x.values[c] += toFloat(y.values[c]);
      if (from.bias) {
        const Pack<float, kQuad> b = from.bias[quad];
        AFA_UNROLL(kQuad)
        for (int c = 0; c < kQuad; ++c) x.values[c] += b.values[c];
      }
      if (sum) sum[at] = x;
    }
    AFA_UNROLL(kQuad)
    for (int c = 0; c < kQuad; ++c) {
      own.values[i][c] = x.values[c];
      total += x.values[c];
    }
  }
  return total;
}

// This lane's part of the sum of squared deviations: from the mean itself, so that nothing cancels.
template <int kEach>
AFA_HD float squares(const LaneChannels<kEach>& own, float mean, int quads, int lane, int lanes) {
  float total = 0;
  AFA_UNROLL(kEach)
  for (int i = 0; i < kEach; ++i) {
    if (lane + i * lanes >= quads) continue;
    AFA_UNROLL(kQuad)
    for (int c = 0; c < kQuad; ++c) total += (own.values[i][c] - mean) * (own.values[i][c] - mean);
  }
  return total;
}

// (x - mean) / sqrt(variance + eps) * weight + bias.
template <int kEach, class Out>
AFA_HD void writeNormed(const LaneChannels<kEach>& own, float mean, float inverse, const Pack<float, kQuad>* weight,
                        const Pack<float, kQuad>* bias, Pack<Out, kQuad>* normed, int64_t token, int quads, int lane,
                        int lanes) {
  AFA_UNROLL(kEach)
  for (int i = 0; i < kEach; ++i) {
    const int quad = lane + i * lanes;
    if (quad >= quads) continue;
    const Pack<float, kQuad> w = weight[quad], b = bias[quad];
    Pack<Out, kQuad> out;
    AFA_UNROLL(kQuad)
    for (int c = 0; c < kQuad; ++c)
      out.values[c] = rounded<Out>((own.values[i][c] - mean) * inverse * w.values[c] + b.values[c]);
    normed[token * quads + quad] = out;
  }
}

}  // namespace afa::nn::cuda
