// Launchers of the affinity kernels, free of torch and CUDA headers; see par_launch.h for what they have in common.
#pragma once
#include "cam/cuda/affinity_threads.h"

extern "C" {
// near [N, N], label [images, height, width] -> out [images, N, N].
int afaPairLabels(const afa::cam::cuda::PairGrid& grid, const bool* near, int images, const int64_t* label, int height,
                  int width, int ignored, uint8_t* out, void* stream);
// Blocks that afaPairSums uses for so many pairs: each leaves a row of `partial`.
int afaPairBlocks(int64_t pairs);
// affinity, label [pairs] -> sums float [2]: same, different; counts int64 [2]. The order of additions is fixed.
int afaPairSums(int64_t pairs, const float* affinity, const uint8_t* label, afa::cam::cuda::PairSums* partial,
                float* sums, int64_t* counts, void* stream);
// gradients [2] of the sums -> out [pairs].
int afaPairGradients(int64_t pairs, const uint8_t* label, const float* gradients, float* out, void* stream);
// affinity [images, N, N], scores [images, channels, N] -> out [images, channels, N]: one random-walk step.
int afaWalk(const afa::cam::cuda::PairGrid& grid, int radius, int images, const float* affinity, const float* scores,
            int channels, float* out, void* stream);
}
