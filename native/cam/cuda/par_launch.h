// Launchers of PAR's kernels, free of torch and CUDA headers. Device pointers; every call only queues work on `stream`
// (a cudaStream_t) and returns 0, or the cudaError_t of the launch.
#pragma once
#include "cam/cuda/par_threads.h"

extern "C" {
int afaParWeights(const afa::cam::cuda::Planes& planes, int images, const float* pixels, const float* position,
                  float* weights, void* stream);
int afaParRound(const afa::cam::cuda::Planes& planes, int images, const float* weights, const float* from, float* to,
                int channels, void* stream);
int afaParShrink(const afa::cam::cuda::Planes& planes, int images, const float* full, int height, int width,
                 float* small, int channels, bool alignCorners, void* stream);
int afaParGrow(const afa::cam::cuda::Planes& planes, int images, const float* small, float* full, int height, int width,
               int channels, void* stream);
}
