// Launchers of the kernel, free of torch and CUDA headers: see images/cuda/normalize_launch.h.
#pragma once
#include "nn/cuda/depthwise_threads.h"

extern "C" {
// x and out [images, height, width, 2 * pairs], weight and bias float32.
int afaDepthwiseGeluFloat(const afa::nn::cuda::TokenGrid& grid, int images, const void* x, const float* weight,
                          const float* bias, void* out, void* stream);
int afaDepthwiseGeluBFloat16(const afa::nn::cuda::TokenGrid& grid, int images, const void* x, const float* weight,
                             const float* bias, void* out, void* stream);
}
