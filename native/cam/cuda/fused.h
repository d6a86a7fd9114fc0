// The torch side of this package's CUDA kernels: the same functions as on the CPU, for float32 on a GPU. Compiled only
// where nvcc compiles the kernels; without them libtorch's own operations compute the same.
#pragma once
#ifdef AFA_CUDA
#include <ATen/ATen.h>

#include <tuple>
#include <vector>

#include "cam/par.h"
#include "cam/par_kernels.h"

namespace afa::cam::cuda {

inline bool fuses(const at::Tensor& tensor, at::ScalarType dtype) {
  return tensor.is_cuda() && tensor.scalar_type() == dtype;
}

// PAR of whole images, masks being of their size: see refine() in cam/par.h.
at::Tensor refine(const at::Tensor& images, const at::Tensor& masks, const std::vector<Offset>& offsets,
                  const at::Tensor& position, const ParConfig& config);
// See cam/refine_in_boxes.h.
at::Tensor refineInBoxes(const at::Tensor& images, const at::Tensor& masks, const at::Tensor& boxes,
                         const std::vector<Offset>& offsets, const at::Tensor& position, const ParConfig& config);

// See cam/affinity.h.
at::Tensor affinityLabel(const at::Tensor& label, int64_t h, int64_t w, const at::Tensor& near, int64_t ignoreIndex);
std::tuple<at::Tensor, at::Tensor, at::Tensor> affinitySums(const at::Tensor& affinity, const at::Tensor& label);
at::Tensor randomWalk(const at::Tensor& affinity, const at::Tensor& scores, int64_t w, int64_t radius);

}  // namespace afa::cam::cuda
#endif
