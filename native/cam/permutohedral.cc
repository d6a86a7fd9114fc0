#include "cam/permutohedral.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "cam/vertex_table.h"
#include "errors.h"

namespace afa::cam {

namespace {

constexpr int64_t kBand = 1 << 14;  // points whose simplices are computed before their vertices are numbered

// The simplex around a point: the keys of its d + 1 vertices, and the point's barycentric coordinates.
template <int D>
struct Simplex {
  std::array<VertexKey, D + 1> keys;
  std::array<float, D + 1> weights;
};

// Column scales of the map E from features to the hyperplane of d + 1 coordinates that sum to 0 (the paper's
// section 3), with the lattice's spacing at which splat, blur and slice together have a deviation of 1.
template <int D>
std::array<float, D> elevationScales() {
  std::array<float, D> out;
  const double spacing = std::sqrt(2.0 / 3.0) * (D + 1);
  for (int i = 0; i < D; ++i) out[i] = static_cast<float>(spacing / std::sqrt((i + 1.0) * (i + 2.0)));
  return out;
}

template <int D>
Simplex<D> simplexOf(const float* feature, const std::array<float, D>& scales) {
  std::array<float, D + 1> elevated, nearest;
  float sum = 0;
  for (int i = D; i > 0; --i) {
    const float scaled = feature[i - 1] * scales[i - 1];
    elevated[i] = sum - static_cast<float>(i) * scaled;
    sum += scaled;
  }
  elevated[0] = sum;

  // The nearest point whose coordinates are all multiples of d + 1; they may not sum to 0 yet.
  int excess = 0;
  for (int i = 0; i <= D; ++i) {
    const float multiple = std::nearbyint(elevated[i] * (1.0F / (D + 1)));
    nearest[i] = multiple * (D + 1);
    excess += static_cast<int>(multiple);
  }
  // rank[i]: how many residuals exceed residual i, moved on by the excess.
  std::array<int, D + 1> rank{};
  for (int i = 0; i < D; ++i)
    for (int j = i + 1; j <= D; ++j) {
      const bool smaller = elevated[i] - nearest[i] < elevated[j] - nearest[j];
      rank[i] += smaller ? 1 : 0;
      rank[j] += smaller ? 0 : 1;
    }
  for (int i = 0; i <= D; ++i) {
    rank[i] += excess;
    const int wrap = rank[i] < 0 ? D + 1 : rank[i] > D ? -(D + 1) : 0;
    rank[i] += wrap;
    nearest[i] += static_cast<float>(wrap);
  }

  Simplex<D> out;
  std::array<float, D + 2> weight{};
  for (int i = 0; i <= D; ++i) {
    const float residual = (elevated[i] - nearest[i]) * (1.0F / (D + 1));
    weight[D - rank[i]] += residual;
    weight[D + 1 - rank[i]] -= residual;
  }
  weight[0] += 1.0F + weight[D + 1];
  std::copy_n(weight.begin(), D + 1, out.weights.begin());

  // Vertex r: r more in every coordinate, and d + 1 less in those of the r highest ranks.
  std::array<int, D> coordinates;
  for (int r = 0; r <= D; ++r) {
    for (int i = 0; i < D; ++i)
      coordinates[i] = static_cast<int>(nearest[i]) + r - (rank[i] > D - r ? D + 1 : 0);
    out.keys[r] = VertexKey::of(coordinates.data(), D);
  }
  return out;
}

// Links vertices along an axis: every coordinate but the axis' own grows by one, that one falls by d.
template <int D>
Chains chainsAlong(int axis, const VertexTable& table) {
  std::array<int, D> step;
  step.fill(1);
  if (axis < D) step[axis] = -D;
  const auto move = VertexKey::stepOf(step.data(), D);
  const int64_t count = table.size();
  std::vector<int32_t> next(count);
  std::vector<bool> follows(count);
  at::parallel_for(0, count, 4096, [&](int64_t begin, int64_t end) {
    for (int64_t v = begin; v < end; ++v) next[v] = table.find(table.key(v) + move);
  });
  for (auto v : next)
    if (v >= 0) follows[v] = true;
  Chains out;
  for (int64_t v = 0; v < count; ++v) {
    if (follows[v] || next[v] < 0) continue;
    out.starts.push_back(static_cast<int32_t>(out.vertices.size()));
    for (auto u = static_cast<int32_t>(v); u >= 0; u = next[u]) out.vertices.push_back(u);
  }
  out.starts.push_back(static_cast<int32_t>(out.vertices.size()));
  return out;
}

}  // namespace

Permutohedral::Permutohedral(const std::vector<float>& features, int64_t d)
    : n_(static_cast<int64_t>(features.size()) / d), d_(d) {
  if (d == 2)
    build<2>(features);
  else if (d == 5)
    build<5>(features);
  else
    TORCH_CHECK(false, "Expected 2 or 5 features for a lattice but received ", d);
}

template <int D>
void Permutohedral::build(const std::vector<float>& features) {
  const auto scales = elevationScales<D>();
  // No coordinate exceeds (d + 1) times the largest scaled feature; vertices lie up to four steps of d + 1 around.
  float reach = 0;
  for (auto f : features) reach = std::max(reach, std::abs(f));
  if (!(reach * scales[0] * (D + 1) < static_cast<float>(VertexKey::kMost - 4 * (D + 1))))
    invalidArgument(c10::str("Expected standard deviations that are not so small against the image: ", reach,
                             " deviations from end to end are more than the lattice holds"));
  slice_.resize(n_ * (D + 1));
  VertexTable table(std::min<int64_t>(n_ * (D + 1), 1 << 16));
  std::vector<Simplex<D>> band(std::min(kBand, n_));
  for (int64_t start = 0; start < n_; start += kBand) {
    const int64_t count = std::min(kBand, n_ - start);
    at::parallel_for(0, count, 1024, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) band[i] = simplexOf<D>(features.data() + (start + i) * D, scales);
    });
    // In the points' order, by one thread: a vertex's number does not depend on the number of threads.
    Link* link = slice_.data() + start * (D + 1);
    for (int64_t i = 0; i < count; ++i)
      for (int r = 0; r <= D; ++r) *link++ = {table.findOrAdd(band[i].keys[r]), band[i].weights[r]};
  }

  starts_.assign(table.size() + 1, 0);
  for (const auto& link : slice_) ++starts_[link.row + 1];
  for (int64_t v = 0; v < table.size(); ++v) starts_[v + 1] += starts_[v];
  splat_.resize(slice_.size());
  auto at = starts_;
  for (size_t k = 0; k < slice_.size(); ++k)
    splat_[at[slice_[k].row]++] = {static_cast<int32_t>(k / (D + 1)), slice_[k].weight};
  for (int axis = 0; axis <= D; ++axis) axes_.push_back(chainsAlong<D>(axis, table));
}

void Permutohedral::splatAndBlur(const float* values, int64_t stride, float* lattice) const {
  at::parallel_for(0, vertices(), 512, [&](int64_t begin, int64_t end) {
    gatherRows(values, stride, splat_.data(), starts_.data(), begin, end, lattice);
  });
  for (const auto& chains : axes_)
    at::parallel_for(0, static_cast<int64_t>(chains.starts.size()) - 1, 256, [&](int64_t begin, int64_t end) {
      blurChains(chains, begin, end, stride, lattice);
    });
}

void Permutohedral::normalize(float weight) {
  // Half of the blur's neighbours come in on each side of each axis: this brings the sum of weights back to 1.
  const float alpha = 1.0F / (1.0F + std::pow(2.0F, -static_cast<float>(d_)));
  std::vector<float> ones(n_ * kLane, 1.0F), lattice(vertices() * kLane);
  splatAndBlur(ones.data(), kLane, lattice.data());
  std::vector<float> scale(n_);
  for (int64_t i = 0; i < n_; ++i) {
    float sum = 0;
    for (int64_t r = 0; r <= d_; ++r) {
      const auto& link = slice_[i * (d_ + 1) + r];
      sum += link.weight * lattice[link.row * kLane];
    }
    scale[i] = 1.0F / std::sqrt(alpha * sum + 1e-20F);
  }
  for (auto& link : splat_) link.weight *= scale[link.row];
  for (size_t k = 0; k < slice_.size(); ++k)
    slice_[k].weight *= scale[k / (d_ + 1)] * alpha * weight;
}

}  // namespace afa::cam
