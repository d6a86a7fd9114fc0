// Depthwise convolution, bias and GELU in one pass over the largest tensors of the network: read once and written once,
// where libtorch's three operations do so three times.
#include <cuda_runtime.h>

#include "nn/cuda/depthwise_launch.h"

namespace {

using namespace afa::nn::cuda;

constexpr int kThreads = 128;

// A warp lies along the channels, so that what it loads are whole lines.
template <class T>
__global__ void depthwiseGeluKernel(TokenGrid grid, const Pack<T, 2>* x, const float* weight, const float* bias,
                                    Pack<T, 2>* out) {
  const unsigned thread = blockIdx.x * kThreads + threadIdx.x;
  if (thread < grid.threads()) depthwiseGeluStrip(grid, x, weight, bias, out, blockIdx.y, thread);
}

template <class T>
int launch(const TokenGrid& grid, int images, const void* x, const float* weight, const float* bias, void* out,
           void* stream) {
  const dim3 blocks((grid.threads() + kThreads - 1) / kThreads, images);
  depthwiseGeluKernel<T><<<blocks, kThreads, 0, static_cast<cudaStream_t>(stream)>>>(
      grid, static_cast<const Pack<T, 2>*>(x), weight, bias, static_cast<Pack<T, 2>*>(out));
  return cudaGetLastError();
}

}  // namespace

extern "C" {

int afaDepthwiseGeluFloat(const TokenGrid& grid, int images, const void* x, const float* weight, const float* bias,
                          void* out, void* stream) {
  return launch<float>(grid, images, x, weight, bias, out, stream);
}

int afaDepthwiseGeluBFloat16(const TokenGrid& grid, int images, const void* x, const float* weight, const float* bias,
                             void* out, void* stream) {
  return launch<BFloat16>(grid, images, x, weight, bias, out, stream);
}

}  // extern "C"
