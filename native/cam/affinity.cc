#include "cam/affinity.h"

#include "cam/cuda/fused.h"

namespace afa::cam {

at::Tensor affinityLabel(const at::Tensor& label, int64_t h, int64_t w, const at::Tensor& near, int64_t ignoreIndex) {
  TORCH_CHECK(label.dim() == 3, "Expected labels of shape [B, H, W] but received ", label.sizes());
  TORCH_CHECK(near.dim() == 2 && near.size(0) == h * w && near.size(1) == h * w, "Expected near of shape [", h * w, ", ",
              h * w, "] but received ", near.sizes());
#ifdef AFA_CUDA
  if (cuda::fuses(label, at::kLong) && cuda::fuses(near, at::kBool))
    return cuda::affinityLabel(label, h, w, near, ignoreIndex);
#endif
  auto small = at::upsample_nearest2d(label.unsqueeze(1).to(at::kFloat), {h, w}).reshape({label.size(0), -1});
  auto known = small.ne(ignoreIndex);
  auto rows = [](const at::Tensor& t) { return t.unsqueeze(2); };
  auto columns = [](const at::Tensor& t) { return t.unsqueeze(1); };
  auto same = rows(small).eq(columns(small)).to(at::kByte);
  auto counted = rows(known).logical_and(columns(known)).logical_and_(near);
  return same.masked_fill_(counted.logical_not(), ignoreIndex);
}

std::tuple<at::Tensor, at::Tensor, at::Tensor> affinitySums(const at::Tensor& affinity, const at::Tensor& label) {
  TORCH_CHECK(affinity.sizes() == label.sizes(), "Expected a label for every pair, ", affinity.sizes(), ", but received ",
              label.sizes());
#ifdef AFA_CUDA
  if (cuda::fuses(affinity, at::kFloat) && cuda::fuses(label, at::kByte)) return cuda::affinitySums(affinity, label);
#endif
  auto same = label.eq(1), different = label.eq(0);
  const auto dtype = affinity.scalar_type();
  return {(same.to(dtype) * (1 - affinity)).sum(), (different.to(dtype) * affinity).sum(),
          at::stack({same.sum(), different.sum()})};
}

at::Tensor randomWalk(const at::Tensor& affinity, const at::Tensor& scores, const at::Tensor& near, int64_t w,
                      int64_t radius) {
  TORCH_CHECK(affinity.dim() == 3 && scores.dim() == 3 && scores.size(0) == affinity.size(0) &&
                  scores.size(2) == affinity.size(1),
              "Expected scores of shape [B, C, N] beside affinity [B, N, N] but received ", scores.sizes(), " and ",
              affinity.sizes());
#ifdef AFA_CUDA
  if (cuda::fuses(affinity, at::kFloat) && cuda::fuses(scores, at::kFloat))
    return cuda::randomWalk(affinity, scores, w, radius);
#endif
  auto squared = affinity.masked_fill(near.logical_not(), 0).square_();
  return at::matmul(scores, squared / (squared.sum(1, /*keepdim=*/true) + 0.1));
}

}  // namespace afa::cam
