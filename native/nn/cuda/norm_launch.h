// Launcher of the kernel, free of torch and CUDA headers: see images/cuda/normalize_launch.h.
#pragma once
#include "nn/cuda/norm_threads.h"

namespace afa::nn::cuda {

// normed = LayerNorm(residual + branch + branchBias) over channels; all [tokens, channels], contiguous.
struct NormCall {
  int64_t tokens;
  int channels;           // a multiple of 4, at most kMostChannels
  const float* residual;  // or null
  const void* branch;
  bool branchBFloat16;
  const float* branchBias;  // [channels], or null
  const float *weight, *bias;  // [channels]
  float eps;
  float* sum;  // of residual and branch, or null where nobody wants it
  void* normed;
  bool normedBFloat16;
};

}  // namespace afa::nn::cuda

extern "C" {
int afaAddNorm(const afa::nn::cuda::NormCall& call, void* stream);
}
