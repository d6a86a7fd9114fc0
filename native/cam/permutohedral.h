// The permutohedral lattice (Adams, Baek and Davis, "Fast High-Dimensional Filtering Using the Permutohedral
// Lattice", 2010): a Gaussian filter over points with d-dimensional features in O(d² n), where the exact one takes
// O(n²). Splat points onto the vertices of their simplex, blur along the d + 1 axes, slice back.
#pragma once
#include <cstdint>
#include <vector>

#include "cam/lattice_kernels.h"

namespace afa::cam {

class Permutohedral {
 public:
  // features [n, d], in units of the filter's standard deviation; d is 2 (position) or 5 (position and colour).
  // Throws where a feature is too large for the lattice's keys: 50,000 deviations with colour, 200,000 without.
  Permutohedral(const std::vector<float>& features, int64_t d);

  int64_t vertices() const { return static_cast<int64_t>(starts_.size()) - 1; }

  // values [n, stride] -> the filtered values, still on the vertices: lattice [vertices, stride]. The sums run in the
  // same order whatever the number of threads.
  void splatAndBlur(const float* values, int64_t stride, float* lattice) const;

  // Where point i reads its result: the weighted rows links[i * (d + 1) ...] of `lattice`.
  Slice slice() const { return {slice_.data(), d_ + 1}; }

  // K becomes N K N with the diagonal N = (K 1)^-1/2, which NIPS 2011 calls symmetric normalisation; and the
  // result is multiplied by `weight`. Both are kept in the links, so they cost nothing afterwards.
  void normalize(float weight);

 private:
  template <int D>
  void build(const std::vector<float>& features);

  int64_t n_, d_;
  std::vector<Link> slice_;      // [n, d + 1]: a point's vertices
  std::vector<Link> splat_;      // the same links sorted by vertex: a vertex's points
  std::vector<int64_t> starts_;  // [vertices + 1]: where in splat_
  std::vector<Chains> axes_;     // d + 1
};

}  // namespace afa::cam
