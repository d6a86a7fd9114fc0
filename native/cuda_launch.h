// For the torch side of own kernels: the stream they go to, and what became of a launch.
#pragma once
#ifdef AFA_CUDA
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAStream.h>

namespace afa {

inline void* stream() { return c10::cuda::getCurrentCUDAStream().stream(); }
inline void check(int error) { C10_CUDA_CHECK(static_cast<cudaError_t>(error)); }

}  // namespace afa
#endif
