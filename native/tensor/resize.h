// Bilinear resizing whose gradient is deterministic where that is asked for.
#pragma once
#include <ATen/ATen.h>

namespace afa {

// x [B, C, h, w] -> [B, C, size]. CUDA's own gradient adds by atomics, in any order, and is refused under
// setDeterministic(true): there the same weights are applied as two products, rows and columns.
at::Tensor resizeBilinear(const at::Tensor& x, at::IntArrayRef size, bool alignCorners = false);

}  // namespace afa
