// What closes a branch of a transformer's block: the residual sum, and the LayerNorm by which the next layer reads it.
#pragma once
#include "nn/layers.h"

namespace afa::nn {

// Tokens between two layers, as the next sum takes them and as the next layer reads them.
struct Tokens {
  at::Tensor sum;     // [B, ..., C], float32
  at::Tensor normed;  // its LayerNorm
};

// residual + scale * projection(branch) and its LayerNorm; in one pass each way where own kernels are. `scale` [B] is
// that of stochastic depth, or undefined.
Tokens addNormed(const at::Tensor& residual, const Linear& projection, const at::Tensor& branch,
                 const at::Tensor& scale, const LayerNorm& norm, Readers readers);

}  // namespace afa::nn
