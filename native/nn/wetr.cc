#include "nn/wetr.h"

#include <cmath>

#include "nn/autocast.h"
#include "nn/products.h"
#include "nn/weight_casts.h"

namespace afa::nn {

WeTr::WeTr(const WeTrConfig& config)
    : config_(config),
      encoder_(state_, "encoder", config.encoder),
      decoder_(state_, "decoder", config.encoder.embedDims, config.embeddingDim, config.numClasses,
               config.headDropout),
      attnProj_(state_, "attn_proj", 2 * MixTransformerConfig::kHeads[3], 1, {}),
      classifier_(state_, "classifier", config.encoder.embedDims[3], config.numClasses - 1, {.bias = false}) {
  kaimingNormal(attnProj_.weight, std::sqrt(5.0), /*fan_out=*/1);
  kaimingUniform(classifier_.weight, std::sqrt(5.0), config.encoder.embedDims[3]);
}

// sigmoid(proj(A + Aᵀ)) over the concatenated heads A = q kᵀ of two blocks. The projection is linear in A,
// so its weights go onto the queries and one product over all heads replaces 16 maps of (h w)² numbers.
at::Tensor WeTr::affinity(const std::vector<QueryKey>& lastTwo, int64_t images) const {
  at::Tensor logits;
  int64_t head = 0;
  for (const auto& qk : lastTwo) {
    const int64_t B = images > 0 ? images : qk.query.size(0), C = qk.query.size(3);
    auto weights = attnProj_.weight.view({-1}).narrow(0, head, qk.heads);
    auto perChannel = weights.unsqueeze(1).expand({qk.heads, C / qk.heads}).reshape({C});
    auto query = qk.query.narrow(0, 0, B).reshape({B, -1, C}), key = qk.key.narrow(0, 0, B);
    auto product = nn::matmul(query * perChannel, key.transpose(1, 2)).to(at::kFloat);
    logits = logits.defined() ? logits + product : product;
    head += qk.heads;
  }
  return at::sigmoid(logits + logits.transpose(1, 2) + attnProj_.bias);
}

WeTrOutput WeTr::forward(const at::Tensor& image, const WeTrWanted& wanted) const {
  TORCH_CHECK(image.dim() == 4 && image.size(1) == 3, "Expected images of shape [B, 3, H, W] but received ",
              image.sizes());
  const Autocast autocast(image.device(), config_.bfloat16);
  const WeightCasts casts(state_.factors(), config_.bfloat16);
  const auto keep = wanted.attention ? Keep::All : wanted.affinity ? Keep::LastTwo : Keep::None;
  auto features = encoder_.forward(image, training, keep);
  const auto& last = features.stages[3];

  WeTrOutput out;
  {
    // Scores and maps are thresholded: the classifier, a thousandth of the work, keeps all its digits.
    const Autocast off(image.device(), false);
    if (wanted.cls) {
      auto pooled = config_.maxPooling ? at::amax(last, {1, 2}) : at::mean(last, {1, 2});
      out.cls = at::linear(pooled, classifier_.weight.flatten(1));
    }
    if (wanted.cam) out.cam = asImage(at::linear(last.detach(), classifier_.weight.detach().flatten(1)));
  }
  if (wanted.seg) {
    auto stages = features.stages;
    if (wanted.segDetach)
      for (auto& stage : stages) stage = stage.detach();
    out.seg = decoder_.forward(stages, training).to(at::kFloat);
  }
  if (wanted.attention)
    for (const auto& qk : features.attention) out.attention.push_back(qk.pooledLogits().to(at::kFloat));
  if (wanted.affinity)
    out.affinity = affinity({features.attention.end() - 2, features.attention.end()}, wanted.affinityImages);
  return out;
}

std::vector<at::Tensor> WeTr::features(const at::Tensor& image) const {
  const Autocast autocast(image.device(), config_.bfloat16);
  const WeightCasts casts(state_.factors(), config_.bfloat16);
  std::vector<at::Tensor> out;
  for (const auto& stage : encoder_.forward(image, training, Keep::None).stages) out.push_back(asImage(stage));
  return out;
}

void WeTr::to(at::Device device) {
  at::NoGradGuard guard;
  kept.reset();
  for (const auto& entry : state_.all()) entry.tensor.set_data(entry.tensor.to(device));
}

}  // namespace afa::nn
