// Affinity labels, loss and propagation on the GPU. Each reads the [B, N, N] affinity once and makes nothing of that size
// but its result: no masks, no float copies of labels, no transition matrix.
#include <cuda_runtime.h>

#include "cam/cuda/affinity_launch.h"

namespace {

using namespace afa::cam::cuda;

constexpr int kThreads = 256;
constexpr int kMostBlocks = 1024;
constexpr int kWalkColumns = 32, kWalkSlices = 8;

int blocksFor(int64_t items) { return static_cast<int>((items + kThreads - 1) / kThreads); }
cudaStream_t on(void* stream) { return static_cast<cudaStream_t>(stream); }

__global__ void labelsKernel(PairGrid grid, const bool* near, const int64_t* label, int height, int width, int ignored,
                             uint8_t* out) {
  const int n = grid.positions(), pair = blockIdx.x * kThreads + threadIdx.x, image = blockIdx.y;
  if (pair >= n * n) return;
  out[static_cast<int64_t>(image) * n * n + pair] =
      pairLabel(label, height, width, grid, near, ignored, image, pair / n, pair % n);
}

// The block's sums, in the first thread. The tree is the same for every run: no atomics.
__device__ PairSums reduceBlock(const PairSums& own) {
  __shared__ PairSums all[kThreads];
  all[threadIdx.x] = own;
  for (int reach = kThreads / 2; reach > 0; reach /= 2) {
    __syncthreads();
    if (threadIdx.x < reach) all[threadIdx.x].add(all[threadIdx.x + reach]);
  }
  __syncthreads();
  return all[0];
}

__global__ void sumsKernel(int64_t pairs, const float* affinity, const uint8_t* label, PairSums* partial) {
  PairSums own = {};
  const int64_t stride = static_cast<int64_t>(gridDim.x) * kThreads;
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x; i < pairs; i += stride)
    own.add(affinity[i], label[i]);
  own = reduceBlock(own);
  if (threadIdx.x == 0) partial[blockIdx.x] = own;
}

__global__ void finishKernel(int blocks, const PairSums* partial, float* sums, int64_t* counts) {
  // Counts of a whole batch may exceed an int: they are added as 64-bit numbers.
  __shared__ long long same[kThreads], different[kThreads];
  PairSums own = {};
  long long sameCount = 0, differentCount = 0;
  for (int i = threadIdx.x; i < blocks; i += kThreads) {
    own.same += partial[i].same;
    own.different += partial[i].different;
    sameCount += partial[i].sameCount;
    differentCount += partial[i].differentCount;
  }
  same[threadIdx.x] = sameCount;
  different[threadIdx.x] = differentCount;
  own = reduceBlock(own);
  if (threadIdx.x != 0) return;
  for (int i = 1; i < kThreads; ++i) {
    sameCount += same[i];
    differentCount += different[i];
  }
  sums[0] = own.same;
  sums[1] = own.different;
  counts[0] = sameCount;
  counts[1] = differentCount;
}

__global__ void gradientsKernel(int64_t pairs, const uint8_t* label, const float* gradients, float* out) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (i < pairs) out[i] = pairGradient(label[i], gradients[0], gradients[1]);
}

// A warp walks to 32 neighbouring positions, so that rows of the affinity are read in whole lines; the block's warps
// share the rows from which they come.
__global__ void walkKernel(PairGrid grid, int radius, const float* affinity, const float* scores, int channels,
                           int groups, float* out) {
  __shared__ Walk parts[kWalkSlices][kWalkColumns];
  const int64_t n = grid.positions();
  const int image = blockIdx.y / groups, first = static_cast<int>(blockIdx.y % groups) * kWalkChannels;
  const int j = blockIdx.x * kWalkColumns + threadIdx.x;
  if (j < n)
    parts[threadIdx.y][threadIdx.x] = walkTo(affinity + image * n * n, scores + image * channels * n, grid, radius,
                                             channels, first, j, threadIdx.y, kWalkSlices);
  __syncthreads();
  if (threadIdx.y != 0 || j >= n) return;
  Walk walk = parts[0][threadIdx.x];
  for (int slice = 1; slice < kWalkSlices; ++slice) walk.add(parts[slice][threadIdx.x]);
  endWalk(walk, out + image * channels * n, grid, channels, first, j);
}

}  // namespace

extern "C" {

int afaPairLabels(const PairGrid& grid, const bool* near, int images, const int64_t* label, int height, int width,
                  int ignored, uint8_t* out, void* stream) {
  const int64_t pairs = static_cast<int64_t>(grid.positions()) * grid.positions();
  const dim3 blocks(blocksFor(pairs), images);
  labelsKernel<<<blocks, kThreads, 0, on(stream)>>>(grid, near, label, height, width, ignored, out);
  return cudaGetLastError();
}

int afaPairBlocks(int64_t pairs) {
  const int blocks = blocksFor(pairs);
  return blocks < 1 ? 1 : blocks < kMostBlocks ? blocks : kMostBlocks;  // of no pairs the sums are 0
}

int afaPairSums(int64_t pairs, const float* affinity, const uint8_t* label, PairSums* partial, float* sums,
                int64_t* counts, void* stream) {
  const int blocks = afaPairBlocks(pairs);
  sumsKernel<<<blocks, kThreads, 0, on(stream)>>>(pairs, affinity, label, partial);
  finishKernel<<<1, kThreads, 0, on(stream)>>>(blocks, partial, sums, counts);
  return cudaGetLastError();
}

int afaPairGradients(int64_t pairs, const uint8_t* label, const float* gradients, float* out, void* stream) {
  gradientsKernel<<<blocksFor(pairs), kThreads, 0, on(stream)>>>(pairs, label, gradients, out);
  return cudaGetLastError();
}

int afaWalk(const PairGrid& grid, int radius, int images, const float* affinity, const float* scores, int channels,
            float* out, void* stream) {
  const int groups = (channels + kWalkChannels - 1) / kWalkChannels;
  const dim3 blocks((grid.positions() + kWalkColumns - 1) / kWalkColumns, images * groups);
  walkKernel<<<blocks, dim3(kWalkColumns, kWalkSlices), 0, on(stream)>>>(grid, radius, affinity, scores, channels,
                                                                         groups, out);
  return cudaGetLastError();
}

}  // extern "C"
