// Launchers of the kernels, free of torch and CUDA headers: see images/cuda/normalize_launch.h.
#pragma once
#include "nn/cuda/norm_threads.h"

namespace afa::nn::cuda {

// normed = LayerNorm(residual + scale * (branch + branchBias)) over channels; all [tokens, channels], contiguous.
struct NormCall {
  int64_t tokens;         // fewer than 2^31
  int channels;           // a multiple of 4, at most kMostChannels
  const float* residual;  // or null
  const void* branch;
  bool branchBFloat16;
  const float* branchBias;  // [channels], or null
  SampleScale scale;
  const float *weight, *bias;  // [channels]
  float eps;
  float* sum;  // what is normalised, or null where nobody wants it
  void* normed;
  bool normedBFloat16;
  float *mean, *inverse;  // [tokens], for the gradients, or null
};

// Gradients of a loss for residual and branch from those for normed and, if anybody reads it, for sum.
struct NormBackwardCall {
  int64_t tokens;
  int channels;
  const void* dNormed;
  bool dNormedBFloat16;
  const float* dSum;  // or null
  const float *sum, *mean, *inverse, *weight;  // as in NormCall
  SampleScale scale;
  float* dResidual;
  void* dBranch;
  bool dBranchBFloat16;
};

}  // namespace afa::nn::cuda

extern "C" {
int afaAddNorm(const afa::nn::cuda::NormCall& call, void* stream);
int afaAddNormBackward(const afa::nn::cuda::NormBackwardCall& call, void* stream);
}
