// PAR on the GPU: one thread a pixel, a warp along a row, so that weights are read in whole lines.
//
// A round moves 48 weights and two masks a channel for each pixel, once through DRAM: with 4 channels 4 (48 + 8) = 224
// bytes. The neighbours' masks come from L1 and L2: a tile in shared memory would load 80 x 56 values, a halo of 24 on
// each side, for 32 x 8 pixels.
#include <cuda_runtime.h>

#include "cam/cuda/par_launch.h"

namespace {

using afa::cam::cuda::Planes;

constexpr int kWide = 32, kTall = 8;

struct At {
  int y, x, z;
};
__device__ At here() {
  return {static_cast<int>(blockIdx.y * kTall + threadIdx.y), static_cast<int>(blockIdx.x * kWide + threadIdx.x),
          static_cast<int>(blockIdx.z)};
}

dim3 blocks(int rows, int columns, int layers) {
  return {static_cast<unsigned>((columns + kWide - 1) / kWide), static_cast<unsigned>((rows + kTall - 1) / kTall),
          static_cast<unsigned>(layers)};
}
const dim3 kThreads(kWide, kTall);

__global__ void weightsKernel(Planes p, const float* pixels, const float* position, float* weights) {
  const auto at = here();
  afa::cam::cuda::weighPixel(p, pixels, position, weights, at.z, at.y, at.x);
}

__global__ void roundKernel(Planes p, const float* weights, const float* from, float* to, int channels, int groups) {
  const auto at = here();
  const int first = at.z % groups * afa::cam::cuda::kChannelsAtOnce;
  afa::cam::cuda::averagePixel(p, weights, from, to, channels, first, at.z / groups, at.y, at.x);
}

__global__ void shrinkKernel(Planes p, const float* full, int height, int width, float* small, int channels,
                             bool alignCorners) {
  const auto at = here();
  afa::cam::cuda::shrinkPixel(p, full, height, width, small, channels, alignCorners, at.z / channels, at.z % channels,
                              at.y, at.x);
}

__global__ void growKernel(Planes p, const float* small, float* full, int height, int width, int channels) {
  const auto at = here();
  if (at.y >= height || at.x >= width) return;
  afa::cam::cuda::growPixel(p, small, full, height, width, channels, at.z / channels, at.z % channels, at.y, at.x);
}

cudaStream_t on(void* stream) { return static_cast<cudaStream_t>(stream); }

}  // namespace

extern "C" {

int afaParWeights(const Planes& p, int images, const float* pixels, const float* position, float* weights,
                  void* stream) {
  weightsKernel<<<blocks(p.rows, p.columns, images), kThreads, 0, on(stream)>>>(p, pixels, position, weights);
  return cudaGetLastError();
}

int afaParRound(const Planes& p, int images, const float* weights, const float* from, float* to, int channels,
                void* stream) {
  const int groups = (channels + afa::cam::cuda::kChannelsAtOnce - 1) / afa::cam::cuda::kChannelsAtOnce;
  roundKernel<<<blocks(p.rows, p.columns, images * groups), kThreads, 0, on(stream)>>>(p, weights, from, to, channels,
                                                                                      groups);
  return cudaGetLastError();
}

int afaParShrink(const Planes& p, int images, const float* full, int height, int width, float* small, int channels,
                 bool alignCorners, void* stream) {
  shrinkKernel<<<blocks(p.rows, p.columns, images * channels), kThreads, 0, on(stream)>>>(p, full, height, width, small,
                                                                                         channels, alignCorners);
  return cudaGetLastError();
}

int afaParGrow(const Planes& p, int images, const float* small, float* full, int height, int width, int channels,
               void* stream) {
  growKernel<<<blocks(height, width, images * channels), kThreads, 0, on(stream)>>>(p, small, full, height, width,
                                                                                   channels);
  return cudaGetLastError();
}

}  // extern "C"
