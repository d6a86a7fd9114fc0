// What a kernel does for one thread is a plain function: nvcc compiles it for the GPU, any C++ compiler for a test of its
// arithmetic on the CPU (test/cuda/kernels-on-host.test.ts). Nothing here includes a torch or a CUDA header.
#pragma once

#if defined(__CUDACC__)
#define AFA_PRAGMA(text) _Pragma(#text)
#define AFA_HD __host__ __device__ inline
#define AFA_UNROLL(n) AFA_PRAGMA(unroll n)
#else
#define AFA_HD inline
#define AFA_UNROLL(n)
#endif
