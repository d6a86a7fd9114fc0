#include "cuda_graph.h"

#include "nn/wetr_binding.h"

#ifdef AFA_CUDA_RUNTIME
#include <ATen/core/CachingHostAllocator.h>
#include <ATen/cuda/CUDAGeneratorImpl.h>
#include <ATen/cuda/CUDAContext.h>
#include <ATen/cuda/CUDAGraph.h>
#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>

#include <atomic>
#include <map>
#include <mutex>
#include <optional>
#endif

namespace afa {

#ifdef AFA_CUDA_RUNTIME
namespace {

constexpr int64_t kMostPixels = 160 * 224 * 224;  // above, the GPU is busy anyway

std::atomic<bool> failed = false;

// One for each GPU: libtorch keeps a workspace for products for every stream.
c10::cuda::CUDAStream graphStream(at::Device device) {
  static std::map<int, c10::cuda::CUDAStream> streams;
  static std::mutex mutex;
  std::lock_guard lock(mutex);
  const int index = device.index();
  auto found = streams.find(index);
  if (found == streams.end())
    found = streams.emplace(index, c10::cuda::getStreamFromPool(/*isHighPriority=*/false, device.index())).first;
  return found->second;
}

// Unused memory goes back, since each stream, and each recording, has memory of its own: without it a capture would take that of
// the work three times.
void giveBack() { c10::cuda::CUDACachingAllocator::emptyCache(); }

}  // namespace

struct GraphMemory {
  c10::MempoolId_t pool = at::cuda::graph_pool_handle();
};

bool graphsPay(const at::Tensor& images) {
  return images.is_cuda() && !failed && images.numel() / 3 <= kMostPixels;
}

// A recording takes about as much again, and part of the work stays outside of it.
bool graphFits(at::Device device) {
  const auto index = device.has_index() ? device.index() : c10::cuda::current_device();
  const auto stats = c10::cuda::CUDACachingAllocator::getDeviceStats(index);
  const auto most = stats.reserved_bytes[static_cast<size_t>(c10::CachingAllocator::StatType::AGGREGATE)].peak;
  return static_cast<size_t>(2 * most) <= at::cuda::getDeviceProperties(index)->totalGlobalMem;
}

struct CudaGraph::Parts {
  at::Device device{at::kCUDA};
  std::shared_ptr<GraphMemory> memory;
  std::unique_ptr<at::cuda::CUDAGraph> graph;
  std::optional<c10::cuda::CUDAStreamGuard> guard;
};

CudaGraph::CudaGraph(at::Device device, std::shared_ptr<GraphMemory>& memory)
    : parts_(std::make_shared<Parts>()) {
  TORCH_CHECK(device.is_cuda(), "Expected a CUDA device for a CUDA graph but received ", device);
  parts_->device = device.has_index() ? device : at::Device(at::kCUDA, c10::cuda::current_device());
  if (!memory) memory = std::make_shared<GraphMemory>();
  parts_->memory = memory;
}

// Streams wait for each other here by way of the host: it happens a few times a run, and memory of one stream's may then
// be used on the other.
void CudaGraph::enter() {
  const auto device = parts_->device;
  c10::cuda::getCurrentCUDAStream(device.index()).synchronize();
  giveBack();
  parts_->guard.emplace(graphStream(device));
}

void CudaGraph::leave() {
  const auto stream = graphStream(parts_->device);
  parts_->guard.reset();
  stream.synchronize();
  giveBack();
}

void CudaGraph::begin() {
  TORCH_CHECK(parts_->guard, "Expected enter() before begin() of a CUDA graph");
  graphStream(parts_->device).synchronize();
  giveBack();
  parts_->graph = std::make_unique<at::cuda::CUDAGraph>();
  // Other threads may allocate meanwhile: a loader's upload does not end the recording.
  parts_->graph->capture_begin(parts_->memory->pool, cudaStreamCaptureModeThreadLocal);
}

void CudaGraph::end() {
  try {
    parts_->graph->capture_end();
  } catch (...) {
    abandon();
    throw;
  }
}

void CudaGraph::abandon() {
  failed = true;
  auto& [device, memory, graph, guard] = *parts_;
  if (!graph) return;
  const auto pool = memory->pool;
  const auto attempt = [](const auto& body) {
    try {
      body();
    } catch (const c10::Error&) {
      // What failed first is what is told.
    }
  };
  attempt([&] { graph->capture_end(); });
  graph.reset();
  // Up to 2.13 an end that fails leaves both allocators waiting for it, with all memory that several streams have used, and
  // the random generator in a state that records. Later ones have set that right by now, and refuse this.
  attempt([&] { c10::cuda::CUDACachingAllocator::endAllocateToPool(device.index(), pool); });
  attempt([&] { at::getHostAllocator(at::kCUDA)->end_allocate_to_pool(pool); });
  auto generator = at::cuda::detail::getDefaultCUDAGenerator(device.index());
  std::lock_guard lock(generator.mutex());
  generator.graphsafe_set_state(generator.clone());
}

void CudaGraph::replay() {
  TORCH_CHECK(parts_->graph, "Expected a recorded CUDA graph to replay");
  parts_->graph->replay();
}

void CudaGraph::dispose() {
  if (!parts_->graph) return;
  c10::cuda::getCurrentCUDAStream(parts_->device.index()).synchronize();  // a replay may be under way
  parts_->graph.reset();
  giveBack();
}
#else
bool graphsPay(const at::Tensor&) { return false; }
bool graphFits(at::Device) { return false; }

struct GraphMemory {};
struct CudaGraph::Parts {};

CudaGraph::CudaGraph(at::Device device, std::shared_ptr<GraphMemory>&) {
  invalidArgument("Expected an addon that was built for CUDA for a CUDA graph on " + device.str() +
                  "; see npm run doctor");
}
void CudaGraph::enter() {}
void CudaGraph::leave() {}
void CudaGraph::begin() {}
void CudaGraph::end() {}
void CudaGraph::abandon() {}
void CudaGraph::replay() {}
void CudaGraph::dispose() {}
#endif

void registerCudaGraph(Exports& m) {
  using Graph = std::shared_ptr<CudaGraph>;
  m.def("graphsPay", {"images"}, +[](at::Tensor images) { return graphsPay(images); });
  m.def("graphFits", {"device"}, +[](at::Device device) { return graphFits(device); });
  m.def("cudaGraphCreate", {"device", "model"}, +[](at::Device device, std::shared_ptr<nn::WeTr> model) {
    return std::make_shared<CudaGraph>(device, model->graphMemory);
  });
  m.def("cudaGraphEnter", {"graph"}, +[](Graph graph) { graph->enter(); });
  m.def("cudaGraphLeave", {"graph"}, +[](Graph graph) { graph->leave(); });
  m.def("cudaGraphBegin", {"graph"}, +[](Graph graph) { graph->begin(); });
  m.def("cudaGraphEnd", {"graph"}, +[](Graph graph) { graph->end(); });
  m.def("cudaGraphAbandon", {"graph"}, +[](Graph graph) { graph->abandon(); });
  m.def("cudaGraphReplay", {"graph"}, +[](Graph graph) { graph->replay(); });
  m.def("cudaGraphDispose", {"graph"}, +[](Graph graph) { graph->dispose(); });
}

}  // namespace afa
