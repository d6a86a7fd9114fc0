// Residual sum and LayerNorm of a token, and their gradients, for one lane of the lanes that share it.
#pragma once
#include "nn/cuda/pack.h"

namespace afa::nn::cuda {

constexpr int kQuad = 4;           // channels that a lane loads at once
constexpr int kMostQuadsEach = 4;  // that a lane keeps in registers
constexpr int kMostChannels = 32 * kMostQuadsEach * kQuad;

// By what each sample's branch is multiplied, or null. Tokens have numbers of 31 bits: a GPU divides those fast.
struct SampleScale {
  const float* values;
  unsigned tokensOfSample;
  AFA_HD float of(int64_t token) const { return values ? values[static_cast<unsigned>(token) / tokensOfSample] : 1.0F; }
};

// What is normalised, [tokens, 4 * quads]: residual + scale * (branch + bias), but for what is null.
template <class Branch>
struct Summands {
  const Pack<float, kQuad>* residual;
  const Pack<Branch, kQuad>* branch;
  const Pack<float, kQuad>* bias;  // [4 * quads]
  SampleScale scale;
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
  const float scale = quads > 0 ? from.scale.of(token) : 0.0F;
  AFA_UNROLL(kEach)
  for (int i = 0; i < kEach; ++i) {
    const int quad = lane + i * lanes;
    Pack<float, kQuad> x = {};
    if (quad < quads) {
      const int64_t at = token * quads + quad;
      Pack<float, kQuad> b = {};
      if (from.residual) x = from.residual[at];
      if (from.bias) b = from.bias[quad];
      const Pack<Branch, kQuad> y = from.branch[at];
      AFA_UNROLL(kQuad)
      for (int c = 0; c < kQuad; ++c) x.values[c] += (toFloat(y.values[c]) + b.values[c]) * scale;
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

// What gradients of a token are made of, [tokens, 4 * quads] or [tokens]: sum is what was normalised, by its mean and
// its inverse deviation; dX is the gradient of a loss for X.
template <class Normed>
struct NormGradients {
  const Pack<Normed, kQuad>* dNormed;
  const Pack<float, kQuad>* dSum;  // of who reads the sum itself, or null
  const Pack<float, kQuad>* sum;
  const float *mean, *inverse;
  const Pack<float, kQuad>* weight;  // [4 * quads]
};

// Both sums that a token's channels share: of g = dNormed * weight, and of g times the normalised value.
struct GradientSums {
  float plain, projected;
};

// Loads the lane's g and normalised values, and returns what it adds to both sums.
template <int kEach, class Normed>
AFA_HD GradientSums gatherGradients(const NormGradients<Normed>& from, int64_t token, int quads, int lane, int lanes,
                                    LaneChannels<kEach>& g, LaneChannels<kEach>& normed) {
  GradientSums total = {0, 0};
  const float mean = quads > 0 ? from.mean[token] : 0.0F, inverse = quads > 0 ? from.inverse[token] : 0.0F;
  AFA_UNROLL(kEach)
  for (int i = 0; i < kEach; ++i) {
    const int quad = lane + i * lanes;
    if (quad >= quads) continue;
    const int64_t at = token * quads + quad;
    const Pack<Normed, kQuad> d = from.dNormed[at];
    const Pack<float, kQuad> x = from.sum[at], w = from.weight[quad];
    AFA_UNROLL(kQuad)
    for (int c = 0; c < kQuad; ++c) {
      g.values[i][c] = toFloat(d.values[c]) * w.values[c];
      normed.values[i][c] = (x.values[c] - mean) * inverse;
      total.plain += g.values[i][c];
      total.projected += g.values[i][c] * normed.values[i][c];
    }
  }
  return total;
}

// The gradient of the sum, for the residual, and times the sample's scale for the branch.
// plain and projected: the sums over all channels, divided by how many they are.
template <int kEach, class Normed, class Branch>
AFA_HD void writeGradients(const NormGradients<Normed>& from, const LaneChannels<kEach>& g,
                           const LaneChannels<kEach>& normed, float plain, float projected, float scale,
                           Pack<float, kQuad>* dResidual, Pack<Branch, kQuad>* dBranch, int64_t token, int quads,
                           int lane, int lanes) {
  const float inverse = from.inverse[token];
  AFA_UNROLL(kEach)
  for (int i = 0; i < kEach; ++i) {
    const int quad = lane + i * lanes;
    if (quad >= quads) continue;
    const int64_t at = token * quads + quad;
    Pack<float, kQuad> d = {};
    if (from.dSum) d = from.dSum[at];
    Pack<Branch, kQuad> branch;
    AFA_UNROLL(kQuad)
    for (int c = 0; c < kQuad; ++c) {
      d.values[c] += (g.values[i][c] - plain - normed.values[i][c] * projected) * inverse;
      branch.values[c] = rounded<Branch>(d.values[c] * scale);
    }
    dResidual[at] = d;
    dBranch[at] = branch;
  }
}

}  // namespace afa::nn::cuda
