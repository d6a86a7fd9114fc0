// The lattice's vertices by their coordinates: an open-addressed hash table that numbers them as they come.
#pragma once
#include <ATen/ATen.h>

#include <cstdint>
#include <limits>
#include <vector>

namespace afa::cam {

// Up to six coordinates of 21 bits, three to a word, stored with an offset that keeps them positive: keys can be
// added word by word. The last of a vertex's d + 1 coordinates is left out, since all of them sum to 0.
struct VertexKey {
  static constexpr int kBits = 21;
  static constexpr int kMost = 1 << (kBits - 1);
  uint64_t low = 0, high = 0;

  static VertexKey stepOf(const int* coordinates, int count) {
    VertexKey out;
    for (int i = 0; i < count; ++i) (i < 3 ? out.low : out.high) += static_cast<uint64_t>(coordinates[i]) << shift(i);
    return out;
  }
  static VertexKey of(const int* coordinates, int count) {
    VertexKey out;
    for (int i = 0; i < count; ++i)
      (i < 3 ? out.low : out.high) += static_cast<uint64_t>(coordinates[i] + kMost) << shift(i);
    return out;
  }
  VertexKey operator+(const VertexKey& step) const { return {low + step.low, high + step.high}; }
  bool operator==(const VertexKey&) const = default;

  // Multiplicative hashing; the high bits of the product are the well-mixed ones.
  uint64_t hash() const {
    const uint64_t mixed = (low ^ (low >> 29)) * 0x9E3779B97F4A7C15U + (high ^ (high >> 27)) * 0xC2B2AE3D27D4EB4FU;
    return (mixed ^ (mixed >> 32)) * 0x9E3779B97F4A7C15U;
  }

 private:
  static constexpr int shift(int i) { return i % 3 * kBits; }
};

class VertexTable {
 public:
  explicit VertexTable(int64_t expected) {
    while ((int64_t{1} << bits_) < 2 * expected) ++bits_;
    slots_.assign(size_t{1} << bits_, -1);
  }

  int64_t size() const { return static_cast<int64_t>(keys_.size()); }
  const VertexKey& key(int64_t vertex) const { return keys_[vertex]; }

  // -1 where there is no such vertex.
  int32_t find(const VertexKey& key) const { return slots_[slotOf(key)]; }

  int32_t findOrAdd(const VertexKey& key) {
    const auto slot = slotOf(key);
    if (slots_[slot] >= 0) return slots_[slot];
    TORCH_CHECK(keys_.size() < std::numeric_limits<int32_t>::max(), "The image has too many pixels for one lattice");
    const auto vertex = static_cast<int32_t>(keys_.size());
    slots_[slot] = vertex;
    keys_.push_back(key);
    if (2 * keys_.size() > slots_.size()) grow();
    return vertex;
  }

 private:
  // The key's slot, or the empty one where it would go.
  size_t slotOf(const VertexKey& key) const {
    const size_t mask = slots_.size() - 1;
    auto slot = static_cast<size_t>(key.hash() >> (64 - bits_));
    while (slots_[slot] >= 0 && !(keys_[slots_[slot]] == key)) slot = (slot + 1) & mask;
    return slot;
  }

  void grow() {
    ++bits_;
    slots_.assign(size_t{1} << bits_, -1);
    for (size_t v = 0; v < keys_.size(); ++v) slots_[slotOf(keys_[v])] = static_cast<int32_t>(v);
  }

  int bits_ = 4;
  std::vector<int32_t> slots_;
  std::vector<VertexKey> keys_;
};

}  // namespace afa::cam
