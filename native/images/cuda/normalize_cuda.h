// The torch side of the kernel in normalize.cu, where nvcc compiles it.
#pragma once
#ifdef AFA_CUDA
#include "images/normalize.h"

namespace afa::images::cuda {

// See images/normalize.h.
at::Tensor normalizeBytes(const ByteBatch& batch, const float* table, at::Device device);

}  // namespace afa::images::cuda
#endif
