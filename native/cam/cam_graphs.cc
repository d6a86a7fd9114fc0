#include "cam/cam_graphs.h"

#ifdef AFA_CUDA_RUNTIME
#include <ATen/autocast_mode.h>
#include <ATen/cuda/CUDAEvent.h>
#include <ATen/cuda/CUDAGraph.h>

#include <map>
#endif

namespace afa::cam {

#ifdef AFA_CUDA_RUNTIME
namespace {

constexpr int kSeenBefore = 3;              // shapes of an evaluation come once or twice
constexpr size_t kMostGraphs = 16;          // each keeps its kernels' arguments
constexpr int64_t kMostPixels = 20 * 224 * 224;  // above, the GPU is busy anyway, and a graph's memory is its own

bool agree(const at::Tensor& a, const at::Tensor& b) {
  return a.defined() == b.defined() && (!a.defined() || at::allclose(a, b, /*rtol=*/1e-2, /*atol=*/1e-2));
}

class CamGraph {
 public:
  // Runs the pass twice: for real, as warm-up, and into the graph.
  CamGraph(const at::Tensor& images, c10::MempoolId_t pool, const CamPass& pass) : input_(images.clone()) {
    const auto current = c10::cuda::getCurrentCUDAStream();
    const auto side = c10::cuda::getStreamFromPool(/*isHighPriority=*/false, images.device().index());
    current.synchronize();
    {
      const c10::cuda::CUDAStreamGuard guard(side);
      const auto warm = pass(input_);
      // Weights cast before would be read by the graph for ever, whatever becomes of the weights.
      at::autocast::clear_cache();
      side.synchronize();
      graph_.capture_begin(pool, cudaStreamCaptureModeThreadLocal);
      try {
        output_ = pass(input_);
      } catch (...) {
        graph_.capture_end();
        throw;
      }
      graph_.capture_end();
      at::autocast::clear_cache();
      graph_.replay();
      side.synchronize();
      TORCH_CHECK(agree(warm.cam, output_.cam) && agree(warm.affinity, output_.affinity),
                  "a CUDA graph of the CAM passes does not give what the passes give");
    }
  }

  // Copies, since the next replay writes to the same memory.
  MultiScaleOutput replay(const at::Tensor& images) {
    input_.copy_(images);
    graph_.replay();
    auto out = output_;
    out.cam = output_.cam.clone();
    if (output_.affinity.defined()) out.affinity = output_.affinity.clone();
    return out;
  }

 private:
  at::Tensor input_;
  at::cuda::CUDAGraph graph_;
  MultiScaleOutput output_;
};

// Those of one model, in one pool of memory: they never run at the same time.
struct CamGraphs {
  c10::MempoolId_t pool = at::cuda::graph_pool_handle();
  std::map<std::vector<double>, int> seen;
  std::map<std::vector<double>, std::unique_ptr<CamGraph>> graphs;
  bool failed = false;
};

std::vector<double> keyOf(const at::Tensor& images, const MultiScaleConfig& config) {
  std::vector<double> key(images.sizes().begin(), images.sizes().end());
  key.push_back(config.affinity);
  key.push_back(config.flippedAffinity);
  key.insert(key.end(), config.scales.begin(), config.scales.end());
  return key;
}

}  // namespace

std::optional<MultiScaleOutput> replayPass(const nn::WeTr& model, const at::Tensor& images,
                                           const MultiScaleConfig& config, const CamPass& pass) {
  const bool worth = images.is_cuda() && images.numel() / 3 <= kMostPixels;
  if (!worth || !model.cudaGraphs() || model.training) return std::nullopt;
  if (!model.kept) model.kept = std::make_shared<CamGraphs>();
  auto& own = *static_cast<CamGraphs*>(model.kept.get());
  if (own.failed) return std::nullopt;
  const auto key = keyOf(images, config);
  auto found = own.graphs.find(key);
  if (found == own.graphs.end()) {
    if (own.graphs.size() == kMostGraphs || own.seen[key]++ < kSeenBefore) return std::nullopt;
    try {
      found = own.graphs.emplace(key, std::make_unique<CamGraph>(images, own.pool, pass)).first;
    } catch (const c10::Error& error) {
      own.failed = true;
      TORCH_WARN("CAM passes run without CUDA graphs: ", error.what_without_backtrace());
      return std::nullopt;
    }
  }
  return found->second->replay(images);
}
#else
std::optional<MultiScaleOutput> replayPass(const nn::WeTr&, const at::Tensor&, const MultiScaleConfig&,
                                           const CamPass&) {
  return std::nullopt;
}
#endif

}  // namespace afa::cam
