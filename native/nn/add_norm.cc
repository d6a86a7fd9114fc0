#include "nn/add_norm.h"

#include <torch/csrc/autograd/custom_function.h>

#include "nn/cuda/fused.h"

namespace afa::nn {

namespace {

using at::Tensor;
using MaybeTensor = std::optional<Tensor>;

// [B] beside [B, ..., C]
Tensor besideTokens(const Tensor& scale, const Tensor& tokens) {
  std::vector<int64_t> shape(tokens.dim(), 1);
  shape[0] = -1;
  return scale.view(shape);
}

Tensor added(const Tensor& residual, const Tensor& branch, const Tensor& scale) {
  return residual + (scale.defined() ? branch * besideTokens(scale, branch) : branch);
}

// The sum and its norm as one operation with one gradient: of several, autograd would make the gradients of norm, sum,
// scaled branch and branch one after the other.
class AddNorm : public torch::autograd::Function<AddNorm> {
 public:
  using Context = torch::autograd::AutogradContext;
  using Tensors = torch::autograd::variable_list;

  // `scale` last: where there is none, it has no place among the inputs that gradients are asked for.
  static Tensors forward(Context* context, const Tensor& residual, const Tensor& branch, const Tensor& weight,
                         const Tensor& bias, double eps, Readers readers, const MaybeTensor& scale) {
    at::AutoDispatchBelowADInplaceOrView below;
    const auto own = scale.value_or(Tensor());
    NormedSum out;
#ifdef AFA_CUDA
    if (cuda::fitsAddNorm(residual, weight))
      out = cuda::addNorm({.residual = residual, .branch = branch, .scale = own}, {weight, bias, eps}, readers,
                          /*statistics=*/true);
#endif
    if (!out.sum.defined()) {
      out.sum = added(residual, branch, own);
      std::tie(out.normed, out.mean, out.inverse) =
          at::native_layer_norm(out.sum, weight.sizes(), weight, bias, eps);
    }
    context->save_for_backward({out.sum, out.mean, out.inverse, weight, bias, own});
    context->saved_data["branch"] = branch.scalar_type();
    context->set_materialize_grads(false);
    return {out.sum, out.normed};
  }

  static Tensors backward(Context* context, Tensors gradients) {
    const auto saved = context->get_saved_variables();
    const auto &sum = saved[0], &mean = saved[1], &inverse = saved[2], &weight = saved[3], &bias = saved[4],
               &scale = saved[5];
    const auto branchType = context->saved_data["branch"].toScalarType();
    const auto &dSum = gradients[0], &dNormed = gradients[1];
    Tensor dResidual, dBranch, dWeight, dBias;
    const auto throughNorm = [&](bool ofSum) {
      const std::array<bool, 3> wanted{ofSum, context->needs_input_grad(2), context->needs_input_grad(3)};
      if (!wanted[0] && !wanted[1] && !wanted[2]) return;
      std::tie(dResidual, dWeight, dBias) = at::native_layer_norm_backward(
          dNormed.to(sum.scalar_type()), sum, weight.sizes(), mean, inverse, weight, bias, wanted);
    };
#ifdef AFA_CUDA
    if (dNormed.defined() && cuda::fitsAddNorm(sum, weight)) {
      throughNorm(false);
      std::tie(dResidual, dBranch) =
          cuda::addNormBackward(dNormed, dSum, {sum, {}, mean, inverse}, weight, scale, branchType);
      return {dResidual, dBranch, dWeight, dBias, {}, {}, {}};
    }
#endif
    if (dNormed.defined()) throughNorm(true);
    if (dSum.defined()) dResidual = dResidual.defined() ? dResidual.add_(dSum) : dSum;
    if (dResidual.defined())
      dBranch = (scale.defined() ? dResidual * besideTokens(scale, dResidual) : dResidual).to(branchType);
    return {dResidual, dBranch, dWeight, dBias, {}, {}, {}};
  }
};

}  // namespace

Tokens addNormed(const Tensor& residual, const Linear& projection, const Tensor& branch, const Tensor& scale,
                 const LayerNorm& norm, Readers readers) {
  if (at::GradMode::is_enabled()) {
    const auto out = AddNorm::apply(residual, projection.forward(branch), norm.weight, norm.bias, norm.eps, readers,
                                    scale.defined() ? MaybeTensor(scale) : std::nullopt);
    return {out[0], out[1]};
  }
#ifdef AFA_CUDA
  if (cuda::fitsAddNorm(residual, norm.weight)) {
    const auto out = cuda::addNorm({.residual = residual, .branch = projection.forward(branch), .scale = scale},
                                   {norm.weight, norm.bias, norm.eps}, readers);
    return {out.sum, out.normed};
  }
#endif
  auto sum = scale.defined() ? added(residual, projection.forward(branch), scale) : projection.addTo(residual, branch);
  return {sum, norm.forward(sum, readers)};
}

}  // namespace afa::nn
