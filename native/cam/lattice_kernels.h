// The inner loops of the permutohedral lattice and of mean field. A row holds all classes of one pixel or vertex,
// padded to whole lanes, so that every loop runs over classes.
#pragma once
#include <cstdint>
#include <vector>

namespace afa::cam {

constexpr int64_t kLane = 8;  // floats handled together: a row's length is a multiple

constexpr int64_t rowStride(int64_t classes) { return (classes + kLane - 1) / kLane * kLane; }

struct Link {
  int32_t row;
  float weight;
};

// The links by which points read lattice rows: `count` for each point.
struct Slice {
  const Link* links;
  int64_t count;
};

// Vertices that are neighbours along one axis, one after the other. A vertex alone is in no chain: blurring leaves
// it as it is.
struct Chains {
  std::vector<int32_t> vertices;
  std::vector<int32_t> starts;  // one more than there are chains
};

// out row v = sum of weight * values row over links starts[v] ... starts[v + 1], for v in begin..end.
void gatherRows(const float* values, int64_t stride, const Link* links, const int64_t* starts, int64_t begin,
                int64_t end, float* out);

// Each vertex of chains begin..end becomes itself plus half of each neighbour, in place.
void blurChains(const Chains& chains, int64_t begin, int64_t end, int64_t stride, float* lattice);

// One filter's result, ready to be read.
struct Message {
  const float* lattice;
  Slice slice;
};

// q row i = softmax(logits row i + what the messages bring), for pixels begin..end.
void updatePixels(const float* logits, int64_t stride, const std::vector<Message>& messages, int64_t begin,
                  int64_t end, float* q);

}  // namespace afa::cam
