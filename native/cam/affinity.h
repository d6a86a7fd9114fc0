// Affinity of pairs of positions: labels, loss and one random-walk step (AFA, sections 3.1 and 3.2; shapes and meanings
// are documented in src/cam/affinity.ts). On CUDA each is one fused kernel, elsewhere libtorch's operations.
#pragma once
#include <ATen/ATen.h>

#include <tuple>

namespace afa::cam {

// label [B, H, W] int64, near bool [N, N] of an h x w grid -> uint8 [B, N, N]: 1 same, 0 different, ignoreIndex else.
at::Tensor affinityLabel(const at::Tensor& label, int64_t h, int64_t w, const at::Tensor& near, int64_t ignoreIndex);

// Sums of 1 - a over pairs of one class and of a over pairs of two, and int64 [2], how many there are of each.
// affinity [B, N, N], label uint8 of the same shape.
std::tuple<at::Tensor, at::Tensor, at::Tensor> affinitySums(const at::Tensor& affinity, const at::Tensor& label);

// scores [B, C, N] moved by the squared affinity of near pairs, columns summing to one.
// near: as above, all within `radius` of each other in both directions of a grid `w` wide.
at::Tensor randomWalk(const at::Tensor& affinity, const at::Tensor& scores, const at::Tensor& near, int64_t w,
                      int64_t radius);

}  // namespace afa::cam
