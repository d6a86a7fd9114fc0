#include "nn/mix_transformer.h"

#include <cmath>

#include "nn/products.h"

namespace afa::nn {

namespace {

// LayerNorm epsilons as the published weights were trained with: they differ by place.
constexpr double kBlockEps = 1e-6;
constexpr double kEmbedEps = 1e-5;

// [B, N, heads * d] -> [B, heads, N, d], a view
at::Tensor splitHeads(const at::Tensor& x, int64_t heads) {
  return x.view({x.size(0), x.size(1), heads, x.size(2) / heads}).transpose(1, 2);
}

}  // namespace

at::Tensor QueryKey::pooledLogits() const {
  auto q = reduction > 1 ? asTokens(at::avg_pool2d(asImage(query), reduction)) : query;
  q = q.reshape({q.size(0), -1, q.size(3)});
  return nn::matmul(splitHeads(q, heads), splitHeads(key, heads).transpose(-2, -1));
}

Attention::Attention(StateDict& state, const std::string& name, int64_t dim, int64_t heads, int64_t reduction)
    : heads_(heads),
      reduction_(reduction),
      q_(state, name + ".q", dim, dim, Init::Backbone),
      kv_(state, name + ".kv", dim, 2 * dim, Init::Backbone),
      proj_(state, name + ".proj", dim, dim, Init::Backbone) {
  if (reduction == 1) return;
  reduce_.emplace(state, name + ".sr", dim, dim, Conv2d::Options{.kernel = reduction, .stride = reduction});
  norm_.emplace(state, name + ".norm", dim, kEmbedEps);
}

at::Tensor Attention::mix(const at::Tensor& x, QueryKey* keep) const {
  const int64_t B = x.size(0), H = x.size(1), W = x.size(2), C = x.size(3);
  auto q = q_.forward(x);
  auto reduced = reduction_ > 1 ? convNormed(*reduce_, asImage(x), *norm_, Readers::Products) : x;
  auto kv = kv_.forward(reduced.reshape({B, -1, C}));
  const auto halves = kv.split(C, 2);  // whose gradients come together in one pass, as those of two views do not
  const auto &k = halves[0], &v = halves[1];
  if (keep) *keep = {q, k, heads_, reduction_};
  auto mixed = at::scaled_dot_product_attention(splitHeads(q.view({B, H * W, C}), heads_), splitHeads(k, heads_),
                                                splitHeads(v, heads_));
  return mixed.transpose(1, 2).reshape({B, H, W, C});
}

MixFfn::MixFfn(StateDict& state, const std::string& name, int64_t dim)
    : fc1_(state, name + ".fc1", dim, dim * MixTransformerConfig::kMlpRatio, Init::Backbone),
      dwconv_(state, name + ".dwconv.dwconv", dim * MixTransformerConfig::kMlpRatio,
              dim * MixTransformerConfig::kMlpRatio,
              {.kernel = 3, .padding = 1, .groups = dim * MixTransformerConfig::kMlpRatio}),
      fc2_(state, name + ".fc2", dim * MixTransformerConfig::kMlpRatio, dim, Init::Backbone) {}

at::Tensor MixFfn::mix(const at::Tensor& x) const {
  const auto hidden = asImage(fc1_.forward(x));
  return asTokens(depthwiseGelu(hidden, dwconv_.weight, dwconv_.bias, dwconv_.options.padding));
}

Block::Block(StateDict& state, const std::string& name, int64_t dim, int64_t heads, int64_t reduction,
             double dropPath)
    : norm1_(state, name + ".norm1", dim, kBlockEps),
      attention_(state, name + ".attn", dim, heads, reduction),
      norm2_(state, name + ".norm2", dim, kBlockEps),
      mlp_(state, name + ".mlp", dim),
      dropPath_(dropPath) {}

Tokens Block::forward(const Tokens& x, const LayerNorm& next, Readers readers, bool training, QueryKey* keep) const {
  const auto add = [&](const at::Tensor& residual, const Linear& projection, const at::Tensor& branch,
                       const LayerNorm& norm, Readers who) {
    const bool drops = training && dropPath_ > 0.0;
    const auto scale = drops ? dropPathScale(residual.size(0), dropPath_, residual.device()) : at::Tensor();
    return addNormed(residual, projection, branch, scale, norm, who);
  };
  const auto y = add(x.sum, attention_.projection(), attention_.mix(x.normed, keep), norm2_, Readers::Products);
  return add(y.sum, mlp_.projection(), mlp_.mix(y.normed), next, readers);
}

PatchEmbed::PatchEmbed(StateDict& state, const std::string& name, int64_t in, int64_t out, int64_t kernel,
                       int64_t stride)
    : proj_(state, name + ".proj", in, out, {.kernel = kernel, .stride = stride, .padding = kernel / 2}),
      norm_(state, name + ".norm", out, kEmbedEps) {}

at::Tensor PatchEmbed::forward(const at::Tensor& image) const {
  return convNormed(proj_, image, norm_, Readers::Any);
}

MixTransformer::MixTransformer(StateDict& state, const std::string& name, const MixTransformerConfig& config) {
  for (auto depth : config.depths) blockCount_ += depth;
  // PyTorch lists the four patch embeddings first, then each stage's blocks and norm.
  for (int i = 0; i < 4; ++i) {
    const auto in = i == 0 ? 3 : config.embedDims[i - 1];
    stages_.push_back({PatchEmbed(state, name + ".patch_embed" + std::to_string(i + 1), in, config.embedDims[i],
                                  i == 0 ? 7 : 3, config.stride[i]),
                       {},
                       std::nullopt});
  }
  int64_t index = 0;
  for (int i = 0; i < 4; ++i) {
    const auto stageName = std::to_string(i + 1);
    for (int64_t j = 0; j < config.depths[i]; ++j, ++index)
      stages_[i].blocks.emplace_back(state, name + ".block" + stageName + "." + std::to_string(j),
                                     config.embedDims[i], MixTransformerConfig::kHeads[i],
                                     MixTransformerConfig::kReduction[i],
                                     config.dropPath * index / std::max<int64_t>(1, blockCount_ - 1));
    stages_[i].norm.emplace(state, name + ".norm" + stageName, config.embedDims[i], kBlockEps);
  }
}

Features MixTransformer::forward(const at::Tensor& image, bool training, Keep keep) const {
  Features out;
  auto x = image.contiguous(at::MemoryFormat::ChannelsLast);
  int64_t index = 0;
  for (int i = 0; i < 4; ++i) {
    const auto& stage = stages_[i];
    Tokens tokens{stage.embed.forward(x), {}};
    tokens.normed = stage.blocks.front().firstNorm().forward(tokens.sum, Readers::Products);
    for (size_t j = 0; j < stage.blocks.size(); ++j, ++index) {
      const bool kept = keep == Keep::All || (keep == Keep::LastTwo && index >= blockCount_ - 2);
      QueryKey queryKey;
      // Each sum is normed in the pass that makes it: by the next block's first norm, at last by the stage's.
      const bool last = j + 1 == stage.blocks.size();
      const auto& next = last ? *stage.norm : stage.blocks[j + 1].firstNorm();
      tokens = stage.blocks[j].forward(tokens, next, last ? Readers::Any : Readers::Products, training,
                                       kept ? &queryKey : nullptr);
      if (kept) out.attention.push_back(std::move(queryKey));
    }
    out.stages[i] = tokens.normed;
    x = asImage(out.stages[i]);
  }
  return out;
}

}  // namespace afa::nn
