// Residual sum, LayerNorm and the rounding to bfloat16 in one pass, and the gradients of all three in one: libtorch's
// operations would read the stream between blocks three times, and write it twice.
#include <cuda_runtime.h>

#include <type_traits>

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
template <int kLanes>
__device__ int64_t ownToken() {
  return (static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x) / kLanes;
}

__device__ const Pack<float, kQuad>* quads(const float* values) {
  return reinterpret_cast<const Pack<float, kQuad>*>(values);
}
__device__ Pack<float, kQuad>* quads(float* values) { return reinterpret_cast<Pack<float, kQuad>*>(values); }

template <int kLanes, int kEach, class Branch, class Out>
__global__ void addNormKernel(NormCall call) {
  const int64_t token = ownToken<kLanes>();
  const int lane = threadIdx.x % kLanes, count = call.channels / kQuad;
  const bool real = token < call.tokens;
  const Summands<Branch> from = {quads(call.residual), static_cast<const Pack<Branch, kQuad>*>(call.branch),
                                 quads(call.branchBias), call.scale};
  const auto channels = static_cast<float>(call.channels);
  LaneChannels<kEach> own;
  const int held = real ? count : 0;
  const float mean = addUp<kLanes>(gather(from, quads(call.sum), token, held, lane, kLanes, own)) / channels;
  const float inverse = rsqrtf(addUp<kLanes>(squares(own, mean, held, lane, kLanes)) / channels + call.eps);
  if (!real) return;
  writeNormed(own, mean, inverse, quads(call.weight), quads(call.bias), static_cast<Pack<Out, kQuad>*>(call.normed),
              token, count, lane, kLanes);
  if (call.mean && lane == 0) {
    call.mean[token] = mean;
    call.inverse[token] = inverse;
  }
}

template <int kLanes, int kEach, class Branch, class Out>
__global__ void addNormBackwardKernel(NormBackwardCall call) {
  const int64_t token = ownToken<kLanes>();
  const int lane = threadIdx.x % kLanes, count = call.channels / kQuad;
  const bool real = token < call.tokens;
  const NormGradients<Out> from = {static_cast<const Pack<Out, kQuad>*>(call.dNormed), quads(call.dSum),
                                   quads(call.sum), call.mean, call.inverse, quads(call.weight)};
  const auto channels = static_cast<float>(call.channels);
  LaneChannels<kEach> g, normed;
  const auto own = gatherGradients(from, token, real ? count : 0, lane, kLanes, g, normed);
  const float plain = addUp<kLanes>(own.plain) / channels, projected = addUp<kLanes>(own.projected) / channels;
  if (!real) return;
  writeGradients(from, g, normed, plain, projected, call.scale.of(token), quads(call.dResidual),
                 static_cast<Pack<Branch, kQuad>*>(call.dBranch), token, count, lane, kLanes);
}

template <int kLanes, int kEach, class Branch, class Out, class Call>
int launch(const Call& call, void* stream) {
  constexpr int kTokens = kThreads / kLanes;
  const auto blocks = static_cast<unsigned>((call.tokens + kTokens - 1) / kTokens);
  const auto on = static_cast<cudaStream_t>(stream);
  if constexpr (std::is_same_v<Call, NormCall>)
    addNormKernel<kLanes, kEach, Branch, Out><<<blocks, kThreads, 0, on>>>(call);
  else
    addNormBackwardKernel<kLanes, kEach, Branch, Out><<<blocks, kThreads, 0, on>>>(call);
  return cudaGetLastError();
}

template <class Branch, class Out, class Call>
int byWidth(const Call& call, void* stream) {
  const int count = call.channels / kQuad;
  if (count <= 16) return launch<16, 1, Branch, Out>(call, stream);
  switch ((count + 31) / 32) {
    case 1: return launch<32, 1, Branch, Out>(call, stream);
    case 2: return launch<32, 2, Branch, Out>(call, stream);
    case 3: return launch<32, 3, Branch, Out>(call, stream);
    case 4: return launch<32, 4, Branch, Out>(call, stream);
    default: return cudaErrorInvalidValue;
  }
}

template <class Call>
int byTypes(const Call& call, bool branchBFloat16, bool normedBFloat16, void* stream) {
  if (branchBFloat16)
    return normedBFloat16 ? byWidth<BFloat16, BFloat16>(call, stream) : byWidth<BFloat16, float>(call, stream);
  return normedBFloat16 ? byWidth<float, BFloat16>(call, stream) : byWidth<float, float>(call, stream);
}

}  // namespace

extern "C" {

int afaAddNorm(const NormCall& call, void* stream) {
  return byTypes(call, call.branchBFloat16, call.normedBFloat16, stream);
}

int afaAddNormBackward(const NormBackwardCall& call, void* stream) {
  return byTypes(call, call.dBranchBFloat16, call.dNormedBFloat16, stream);
}

}  // extern "C"
