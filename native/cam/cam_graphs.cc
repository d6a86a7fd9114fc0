#include "cam/cam_graphs.h"

#include <ATen/autocast_mode.h>

#include <map>

#include "cuda_graph.h"

namespace afa::cam {

namespace {

constexpr int kSeenBefore = 3;       // shapes of an evaluation come once or twice
constexpr size_t kMostGraphs = 16;  // each keeps its kernels' arguments

bool agree(const at::Tensor& a, const at::Tensor& b) {
  return a.defined() == b.defined() && (!a.defined() || at::allclose(a, b, /*rtol=*/1e-2, /*atol=*/1e-2, /*equal_nan=*/true));
}

class CamGraph {
 public:
  // Runs the pass twice: for real, and into the graph.
  CamGraph(const at::Tensor& images, std::shared_ptr<GraphMemory>& memory, const CamPass& pass)
      : input_(images.clone()), graph_(std::make_shared<CudaGraph>(images.device(), memory)) {
    graph_->enter();
    try {
      const auto real = pass(input_);
      // Weights cast before would be read by the graph for ever, whatever becomes of the weights.
      at::autocast::clear_cache();
      record(pass);
      at::autocast::clear_cache();
      graph_->replay();
      TORCH_CHECK(agree(real.cam, output_.cam) && agree(real.affinity, output_.affinity),
                  "a CUDA graph of the CAM passes does not give what the passes give");
    } catch (...) {
      // Casts made in a recording that failed are memory that nothing has ever written to.
      at::autocast::clear_cache();
      graph_->leave();
      throw;
    }
    graph_->leave();
  }

  // Copies, since the next replay writes to the same memory.
  MultiScaleOutput replay(const at::Tensor& images) {
    input_.copy_(images);
    graph_->replay();
    auto out = output_;
    out.cam = output_.cam.clone();
    if (output_.affinity.defined()) out.affinity = output_.affinity.clone();
    return out;
  }

 private:
  void record(const CamPass& pass) {
    graph_->begin();
    try {
      output_ = pass(input_);
    } catch (...) {
      graph_->abandon();
      throw;
    }
    graph_->end();
  }

  at::Tensor input_;
  std::shared_ptr<CudaGraph> graph_;
  MultiScaleOutput output_;
};

// Those of one model.
struct CamGraphs {
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
                                           const MultiScaleConfig& config, const CamPass& pass, std::string& fault) {
  if (!graphsPay(images) || !model.cudaGraphs() || model.training) return std::nullopt;
  if (!model.kept) model.kept = std::make_shared<CamGraphs>();
  auto& own = *static_cast<CamGraphs*>(model.kept.get());
  if (own.failed) return std::nullopt;
  const auto key = keyOf(images, config);
  auto found = own.graphs.find(key);
  if (found == own.graphs.end()) {
    const bool due = own.graphs.size() < kMostGraphs && own.seen[key]++ == kSeenBefore;
    if (!due || !graphFits(images.device())) return std::nullopt;
    try {
      found = own.graphs.emplace(key, std::make_unique<CamGraph>(images, model.graphMemory, pass)).first;
    } catch (const c10::Error& error) {
      own.failed = true;
      const std::string reason = error.what_without_backtrace();
      fault = "CAM passes run without CUDA graphs: " + reason.substr(0, reason.find('\n'));
      return std::nullopt;
    }
  }
  return found->second->replay(images);
}

}  // namespace afa::cam
