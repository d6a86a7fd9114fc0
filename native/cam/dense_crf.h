// Post-processing of class probabilities by a fully-connected CRF with Gaussian edge potentials (Krähenbühl and
// Koltun, "Efficient Inference in Fully Connected CRFs with Gaussian Edge Potentials", NIPS 2011).
#pragma once
#include <ATen/ATen.h>

namespace afa::cam {

struct CrfConfig {
  int64_t iterations;
  double posW, posXyStd;            // smoothness: weight, deviation in pixels
  double biW, biXyStd, biRgbStd;    // appearance: weight, deviations in pixels and in grey levels of 0..255
};

// rgb uint8 [H, W, 3], probabilities float32 [C, H, W] that sum to 1 over C. Returns the approximate marginals
// [C, H, W] after `iterations` steps of mean field.
at::Tensor denseCrf(const at::Tensor& rgb, const at::Tensor& probabilities, const CrfConfig& config);

}  // namespace afa::cam
