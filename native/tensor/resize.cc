#include "tensor/resize.h"

#include <ATen/core/grad_mode.h>

namespace afa {

namespace {

// The weights of resizing `from` values to `to`, [to, from]: what becomes of each unit vector.
at::Tensor weights(int64_t from, int64_t to, bool alignCorners, const at::TensorOptions& options) {
  auto units = at::eye(from, options.dtype(at::kFloat)).view({1, 1, from, from});
  return at::upsample_bilinear2d(units, {to, from}, alignCorners).view({to, from}).to(options.dtype());
}

}  // namespace

at::Tensor resizeBilinear(const at::Tensor& x, at::IntArrayRef size, bool alignCorners) {
  const bool learns = at::GradMode::is_enabled() && x.requires_grad();
  if (!(x.is_cuda() && learns && at::globalContext().deterministicAlgorithms()))
    return at::upsample_bilinear2d(x, size, alignCorners);
  const auto rows = weights(x.size(2), size[0], alignCorners, x.options().requires_grad(false));
  const auto columns = weights(x.size(3), size[1], alignCorners, x.options().requires_grad(false));
  return at::matmul(at::matmul(rows, x), columns.t());
}

}  // namespace afa
