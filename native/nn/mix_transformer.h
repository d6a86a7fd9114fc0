// Mix Transformer encoder (Xie et al., "SegFormer", NeurIPS 2021, section 3.1), written from the paper:
// overlapping patch embeddings, attention with spatially reduced keys and values, Mix-FFN with a 3x3
// depthwise convolution. Everything stays in [B, H, W, C] = channels-last images, so no layer transposes.
#pragma once
#include <array>
#include <optional>
#include <vector>

#include "nn/add_norm.h"

namespace afa::nn {

struct MixTransformerConfig {
  std::array<int64_t, 4> embedDims;
  std::array<int64_t, 4> depths;
  std::array<int64_t, 4> stride;
  double dropPath = 0.1;  // of the last block; rises linearly from 0

  static constexpr std::array<int64_t, 4> kHeads{1, 2, 5, 8};
  static constexpr std::array<int64_t, 4> kReduction{8, 4, 2, 1};
  static constexpr int64_t kMlpRatio = 4;
};

// What attention maps are made of: map = q kᵀ, so that they need not exist unless someone reads them.
struct QueryKey {
  at::Tensor query;  // [B, H, W, C]
  at::Tensor key;    // [B, M, C], M = H W / reduction²
  int64_t heads, reduction;

  // Pre-softmax, unscaled logits, queries average-pooled to the key grid: [B, heads, M, M].
  // Averaging logits over queries equals the logits of averaged queries, which is what is computed.
  at::Tensor pooledLogits() const;
};

struct Features {
  std::array<at::Tensor, 4> stages;  // [B, H_i, W_i, C_i], normalised outputs
  std::vector<QueryKey> attention;   // one for each block whose maps were asked for, in order
};

enum class Keep { None, LastTwo, All };  // whose query and key are kept

class Attention {
 public:
  Attention(StateDict& state, const std::string& name, int64_t dim, int64_t heads, int64_t reduction);
  // All but the last layer, which the block runs together with the residual sum.
  at::Tensor mix(const at::Tensor& x, QueryKey* keep) const;
  const Linear& projection() const { return proj_; }

 private:
  int64_t heads_, reduction_;
  Linear q_, kv_, proj_;
  std::optional<Conv2d> reduce_;
  std::optional<LayerNorm> norm_;
};

class MixFfn {
 public:
  MixFfn(StateDict& state, const std::string& name, int64_t dim);
  // All but the last layer, as Attention's.
  at::Tensor mix(const at::Tensor& x) const;
  const Linear& projection() const { return fc2_; }

 private:
  Linear fc1_;
  Conv2d dwconv_;
  Linear fc2_;
};

class Block {
 public:
  Block(StateDict& state, const std::string& name, int64_t dim, int64_t heads, int64_t reduction, double dropPath);
  const LayerNorm& firstNorm() const { return norm1_; }
  // x, normed by this block's first norm, to its sum, normed by `next` for those who read it after.
  Tokens forward(const Tokens& x, const LayerNorm& next, Readers readers, bool training, QueryKey* keep) const;

 private:
  LayerNorm norm1_;
  Attention attention_;
  LayerNorm norm2_;
  MixFfn mlp_;
  double dropPath_;
};

class PatchEmbed {
 public:
  PatchEmbed(StateDict& state, const std::string& name, int64_t in, int64_t out, int64_t kernel, int64_t stride);
  at::Tensor forward(const at::Tensor& image) const;  // [B, in, H, W] -> [B, H', W', out]

 private:
  Conv2d proj_;
  LayerNorm norm_;
};

class MixTransformer {
 public:
  MixTransformer(StateDict& state, const std::string& name, const MixTransformerConfig& config);
  // image [B, 3, H, W]
  Features forward(const at::Tensor& image, bool training, Keep keep) const;

 private:
  struct Stage {
    PatchEmbed embed;
    std::vector<Block> blocks;
    std::optional<LayerNorm> norm;
  };
  std::vector<Stage> stages_;
  int64_t blockCount_ = 0;
};

}  // namespace afa::nn
