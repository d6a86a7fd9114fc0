// Normalises and mirrors a batch of bytes. Bound by memory: 12 bytes written for each pixel, 1 or 3 read.
#include <cuda_runtime.h>

#include "images/cuda/normalize_launch.h"

namespace {

using namespace afa::images::cuda;

constexpr int kThreads = 256;
constexpr int kPixelsEach = 8;  // for one copy of the table to a block's shared memory

// Shared memory serves 32 different table entries at a time, which a cache does not.
__global__ void normalizeKernel(ByteImages images, const float* table, float* out) {
  __shared__ float entries[3 * kByteValues];
  for (int i = threadIdx.x; i < 3 * kByteValues; i += kThreads) entries[i] = table[i];
  __syncthreads();
  const int first = blockIdx.x * (kThreads * kPixelsEach) + threadIdx.x, pixels = images.pixels();
  for (int i = 0; i < kPixelsEach; ++i) {
    const int pixel = first + i * kThreads;
    if (pixel < pixels) normalizePixel(images, entries, out, blockIdx.y, pixel);
  }
}

}  // namespace

extern "C" {

int afaNormalizeBytes(const ByteImages& images, int count, const float* table, float* out, void* stream) {
  constexpr int kEach = kThreads * kPixelsEach;
  const dim3 blocks((images.pixels() + kEach - 1) / kEach, count);
  normalizeKernel<<<blocks, kThreads, 0, static_cast<cudaStream_t>(stream)>>>(images, table, out);
  return cudaGetLastError();
}

}  // extern "C"
