// Products and the layers that an embedder builds heads from.
#include "registration.h"

namespace afa {

namespace {

at::Reduction::Reduction reductionOf(const std::string& name) {
  if (name == "mean") return at::Reduction::Mean;
  if (name == "sum") return at::Reduction::Sum;
  if (name == "none") return at::Reduction::None;
  invalidArgument("Expected 'mean', 'sum' or 'none' for argument 'reduction' of crossEntropy() but received '" + name +
                  "'");
}

class DeterministicOff {
 public:
  DeterministicOff() : warnOnly_(at::globalContext().deterministicAlgorithmsWarnOnly()) {
    at::globalContext().setDeterministicAlgorithms(false, warnOnly_);
  }
  ~DeterministicOff() { at::globalContext().setDeterministicAlgorithms(true, warnOnly_); }

 private:
  bool warnOnly_;
};

}  // namespace

void registerLinear(Exports& m) {
  using at::Tensor;
  using Ints = std::vector<int64_t>;
  using MaybeTensor = std::optional<Tensor>;
  m.def("matmul", {"self", "other"}, +[](Tensor a, Tensor b) { return at::matmul(a, b); });
  m.def("linear", {"input", "weight", "bias"}, +[](Tensor input, Tensor weight, MaybeTensor bias) {
    return at::linear(input, weight, bias);
  });
  m.def("conv2d", {"input", "weight", "bias", "stride", "padding", "dilation", "groups"},
        +[](Tensor input, Tensor weight, MaybeTensor bias, Ints stride, Ints padding, Ints dilation, int64_t groups) {
          return at::conv2d(input, weight, bias, stride, padding, dilation, groups);
        });
  m.def("layerNorm", {"input", "weight", "bias", "eps"},
        +[](Tensor input, Tensor weight, Tensor bias, double eps) {
          return at::layer_norm(input, weight.sizes(), weight, bias, eps);
        });
  m.def("crossEntropy", {"input", "target", "ignoreIndex", "reduction"},
        +[](Tensor input, Tensor target, int64_t ignoreIndex, std::string reduction) {
          // CUDA's own sum over an image adds by atomics, in any order.
          if (reduction == "sum" && input.is_cuda() && at::globalContext().deterministicAlgorithms()) {
            const DeterministicOff off;  // it refuses every form, also the one that adds nothing up
            return at::cross_entropy_loss(input, target, {}, at::Reduction::None, ignoreIndex).sum();
          }
          return at::cross_entropy_loss(input, target, {}, reductionOf(reduction), ignoreIndex);
        });
  m.def("binaryCrossEntropyWithLogits", {"input", "target", "posWeight"},
        +[](Tensor input, Tensor target, MaybeTensor posWeight) {
          return at::binary_cross_entropy_with_logits(input, target, {}, posWeight);
        });
}

}  // namespace afa
