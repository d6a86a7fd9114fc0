// Residual sum, LayerNorm and the rounding to bfloat16 in one pass: libtorch's operations would read the stream between
// blocks three times, and write it twice.
#include <cuda_runtime.h>

#include "nn/cuda/norm_launch.h"

namespace {

using namespace afa::nn::cuda;

constexpr int kThreads = 256;

// Over kLanes neighbouring lanes, which all get it. The tree is the same for every run.
template <int kLanes>
__device__ float addUp(float own) {
  AFA_UNROLL(5)
  for (int reach = kLanes / 2; reach > 0; reach /= 2) own += __shfl_xor_sync(0xFFFFFFFFU, own, reach, kLanes);
  return own;
}

// kLanes lanes hold a token in registers. Those beyond the last token go along: the others of their warp wait for them.
template <int kLanes, int kEach, class Branch, class Out>
__global__ void addNormKernel(NormCall call) {
  const int lane = threadIdx.x % kLanes, quads = call.channels / kQuad;
  const int64_t token = (static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x) / kLanes;
  const bool real = token < call.tokens;
  const Summands<Branch> from = {reinterpret_cast<const Pack<float, kQuad>*>(call.residual),
                                 static_cast<const Pack<Branch, kQuad>*>(call.branch),
                                 reinterpret_cast<const Pack<float, kQuad>*>(call.branchBias)};
  LaneChannels<kEach> own;
  const int held = real ? quads : 0;
  const float mean = addUp<kLanes>(gather(from, reinterpret_cast<Pack<float, kQuad>*>(call.sum), token, held, lane,
                                          kLanes, own)) / static_cast<float>(call.channels);
  const float variance = addUp<kLanes>(squares(own, mean, held, lane, kLanes)) / static_cast<float>(call.channels);
  if (real)
    writeNormed(own, mean, rsqrtf(variance + call.eps), reinterpret_cast<const Pack<float, kQuad>*>(call.weight),
                reinterpret_cast<const Pack<float, kQuad>*>(call.bias), static_cast<Pack<Out, kQuad>*>(call.normed),
                token, quads, lane, kLanes);
}

template <int kLanes, int kEach, class Branch, class Out>
int launch(const NormCall& call, void* stream) {
  constexpr int kTokens = kThreads / kLanes;
  const auto blocks = static_cast<unsigned>((call.tokens + kTokens - 1) / kTokens);
  addNormKernel<kLanes, kEach, Branch, Out><<<blocks, kThreads, 0, static_cast<cudaStream_t>(stream)>>>(call);
  return cudaGetLastError();
}

template <class Branch, class Out>
int byWidth(const NormCall& call, void* stream) {
  const int quads = call.channels / kQuad;
  if (quads <= 16) return launch<16, 1, Branch, Out>(call, stream);
  switch ((quads + 31) / 32) {
    case 1: return launch<32, 1, Branch, Out>(call, stream);
    case 2: return launch<32, 2, Branch, Out>(call, stream);
    case 3: return launch<32, 3, Branch, Out>(call, stream);
    case 4: return launch<32, 4, Branch, Out>(call, stream);
    default: return cudaErrorInvalidValue;
  }
}

}  // namespace

extern "C" {

int afaAddNorm(const NormCall& call, void* stream) {
  if (call.branchBFloat16)
    return call.normedBFloat16 ? byWidth<BFloat16, BFloat16>(call, stream) : byWidth<BFloat16, float>(call, stream);
  return call.normedBFloat16 ? byWidth<float, BFloat16>(call, stream) : byWidth<float, float>(call, stream);
}

}  // extern "C"
