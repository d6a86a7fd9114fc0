#include "nn/segformer_head.h"

#include <cmath>

#include "nn/products.h"
#include "nn/weight_casts.h"
#include "tensor/resize.h"

namespace afa::nn {

SegFormerHead::SegFormerHead(StateDict& state, const std::string& name, const std::array<int64_t, 4>& inChannels,
                             int64_t embeddingDim, int64_t numClasses, double dropout)
    : embeddingDim_(embeddingDim),
      dropout_(dropout),
      linearC4_(state, name + ".linear_c4.proj", inChannels[3], embeddingDim, Init::PyTorchDefault),
      linearC3_(state, name + ".linear_c3.proj", inChannels[2], embeddingDim, Init::PyTorchDefault),
      linearC2_(state, name + ".linear_c2.proj", inChannels[1], embeddingDim, Init::PyTorchDefault),
      linearC1_(state, name + ".linear_c1.proj", inChannels[0], embeddingDim, Init::PyTorchDefault),
      fuse_(state, name + ".linear_fuse.conv", 4 * embeddingDim, embeddingDim, {.bias = false}),
      norm_(state, name + ".linear_fuse.bn", embeddingDim),
      predict_(state, name + ".linear_pred", embeddingDim, numClasses, {}) {
  kaimingUniform(predict_.weight, std::sqrt(5.0), embeddingDim);
}

at::Tensor SegFormerHead::forward(const std::array<at::Tensor, 4>& stages, bool training) const {
  const std::array<int64_t, 2> size{stages[0].size(1), stages[0].size(2)};
  const Linear* linears[] = {&linearC4_, &linearC3_, &linearC2_, &linearC1_};
  // Fusing and bilinear resizing are both linear and act on different axes, so they commute: each stage is
  // fused at its own size and the sum replaces the concatenation of four full-size maps.
  at::Tensor sum;
  const auto& fuse = WeightCasts::of(fuse_.weight);
  for (int i = 0; i < 4; ++i) {
    const auto& x = stages[3 - i];
    auto slice = fuse.narrow(1, i * embeddingDim_, embeddingDim_).reshape({embeddingDim_, embeddingDim_});
    auto y = asImage(nn::linear(linears[i]->forward(x), slice, at::Tensor()));
    if (x.size(1) != size[0] || x.size(2) != size[1]) y = resizeBilinear(y, size);
    sum = sum.defined() ? sum + y : y;
  }
  auto fused = at::relu(norm_.forward(sum, training));
  return predict_.forward(at::feature_dropout(fused, dropout_, training));
}

}  // namespace afa::nn
