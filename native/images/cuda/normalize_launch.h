// Launcher of the kernel, free of torch and CUDA headers. Device pointers; it only queues work on `stream` (a
// cudaStream_t) and returns 0, or the cudaError_t of the launch.
#pragma once
#include "images/cuda/normalize_threads.h"

extern "C" {
int afaNormalizeBytes(const afa::images::cuda::ByteImages& images, int count, const float* table, float* out,
                      void* stream);
}
