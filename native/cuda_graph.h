// CUDA graphs: what a thread launches on a GPU, recorded once and from then on launched by a single call. They pay where
// the host would need longer to launch hundreds of small kernels than the GPU to run them.
#pragma once
#include <functional>
#include <memory>

#include "binding.h"

namespace afa {

// Whether work on images [B, 3, H, W] is worth a graph: on a GPU, where graphs are sound, for a batch whose kernels are not so
// long that the host is ahead of them anyway.
bool graphsPay(const at::Tensor& images);

// Whether the GPU has room for one more recording, which keeps what its work computes in: by the most that was taken so far.
bool graphFits(at::Device device);

// Where graphs keep what they compute in, shared by those that never run at the same time: a model's.
struct GraphMemory;

// One recording. Between enter() and leave() this thread's work goes to a stream for graphs: first once for real, since a
// recording can neither choose algorithms nor make workspaces, then between begin() and end() into the graph. What the
// recorded work reads and writes must lie where it lay, and it may not be read on the host meanwhile.
class CudaGraph {
 public:
  // `memory` is made for the first graph in it.
  CudaGraph(at::Device device, std::shared_ptr<GraphMemory>& memory);

  void enter();
  void leave();
  void begin();
  void end();
  // In place of end(), when what was to be recorded has failed. As a failing end() it leaves libtorch's allocator and random
  // generator in a state to compute with, but not to record with: from then on no graph of this process pays.
  void abandon();
  // On the current stream. Random numbers go on from the generator's present state, as they do without a graph.
  void replay();
  // The recording goes, and its memory where no other graph is in it.
  void dispose();

 private:
  struct Parts;
  std::shared_ptr<Parts> parts_;
};

template <>
struct BoxTraits<CudaGraph> {
  static constexpr auto kind = Box::Kind::CudaGraph;
  static constexpr const char* name = "a CUDA graph";
};

void registerCudaGraph(Exports& m);

}  // namespace afa
