#ifdef AFA_CUDA
#include "cam/cuda/fused.h"

#include <c10/cuda/CUDAGuard.h>
#include <torch/csrc/autograd/custom_function.h>

#include <map>
#include <mutex>

#include "cam/cuda/affinity_launch.h"
#include "cam/cuda/par_launch.h"
#include "cuda_launch.h"

namespace afa::cam::cuda {

namespace {

// Kernels get pointers, of which nothing says whose they are.
void checkTogether(const at::Tensor& a, const at::Tensor& b) {
  TORCH_CHECK(a.device() == b.device(), "Expected all tensors on the same device but received ", a.device(), " and ",
              b.device());
}

// What all images of one configuration share, on one GPU.
struct Neighbourhood {
  at::Tensor shifts;    // int32 [K, 2]
  at::Tensor position;  // float32 [K]
};

// Copied once: a step then sends nothing, and a captured graph finds it in place. Never freed, since static destructors
// run after CUDA's own.
const Neighbourhood& neighbourhoodOn(at::Device device, const std::vector<Offset>& offsets, const at::Tensor& position) {
  static auto& kept = *new std::map<std::vector<int32_t>, Neighbourhood>();
  static std::mutex mutex;
  std::vector<int32_t> shifts;
  for (const auto& o : offsets) {
    shifts.push_back(static_cast<int32_t>(o.dy));
    shifts.push_back(static_cast<int32_t>(o.dx));
  }
  auto key = shifts;
  key.push_back(device.index());
  std::lock_guard lock(mutex);
  auto found = kept.find(key);
  if (found == kept.end())
    found = kept.emplace(key, Neighbourhood{at::tensor(shifts, at::kInt).to(device), position.to(device)}).first;
  return found->second;
}

Planes planesOf(const Neighbourhood& around, int64_t rows, int64_t columns, const Box* boxes) {
  return {static_cast<int>(rows), static_cast<int>(columns), boxes, static_cast<int>(around.position.numel()),
          around.shifts.const_data_ptr<int32_t>()};
}

// Weights once, then the rounds, between two buffers; the result is one of them.
at::Tensor rounds(const Planes& planes, const Neighbourhood& around, const at::Tensor& images, at::Tensor from,
                  int64_t iterations) {
  const auto B = static_cast<int>(images.size(0)), channels = static_cast<int>(from.size(1));
  auto weights = at::empty({B, planes.count, planes.rows, planes.columns}, images.options());
  check(afaParWeights(planes, B, images.const_data_ptr<float>(), around.position.const_data_ptr<float>(),
                      weights.mutable_data_ptr<float>(), stream()));
  auto to = at::empty_like(from);
  for (int64_t i = 0; i < iterations; ++i) {
    check(afaParRound(planes, B, weights.const_data_ptr<float>(), from.const_data_ptr<float>(),
                      to.mutable_data_ptr<float>(), channels, stream()));
    std::swap(from, to);
  }
  return from;
}

}  // namespace

at::Tensor refine(const at::Tensor& images, const at::Tensor& masks, const std::vector<Offset>& offsets,
                  const at::Tensor& position, const ParConfig& config) {
  checkTogether(images, masks);
  if (masks.numel() == 0) return masks.clone(at::MemoryFormat::Contiguous);  // no kernel has a grid of no blocks
  const c10::cuda::CUDAGuard guard(images.device());
  const auto& around = neighbourhoodOn(images.device(), offsets, position);
  const auto planes = planesOf(around, images.size(2), images.size(3), nullptr);
  // Rounds write into what they read from: never the caller's masks.
  return rounds(planes, around, images.contiguous(), masks.clone(at::MemoryFormat::Contiguous), config.iterations);
}

at::Tensor refineInBoxes(const at::Tensor& images, const at::Tensor& masks, const at::Tensor& boxes,
                         const std::vector<Offset>& offsets, const at::Tensor& position, const ParConfig& config) {
  checkTogether(images, masks);
  if (masks.numel() == 0) return at::empty_like(masks, at::MemoryFormat::Contiguous);
  const c10::cuda::CUDAGuard guard(images.device());
  const auto& around = neighbourhoodOn(images.device(), offsets, position);
  const int64_t B = images.size(0), C = masks.size(1);
  const auto H = static_cast<int>(images.size(2)), W = static_cast<int>(images.size(3));
  const auto own = boxes.to(images.device(), at::kInt, /*non_blocking=*/true);
  static_assert(sizeof(Box) == 4 * sizeof(int32_t));
  const auto planes = planesOf(around, half(H), half(W), reinterpret_cast<const Box*>(own.const_data_ptr<int32_t>()));

  const auto pixels = images.contiguous(), maps = masks.contiguous();
  auto small = at::empty({B, 3, planes.rows, planes.columns}, images.options());
  auto from = at::empty({B, C, planes.rows, planes.columns}, masks.options());
  const auto count = static_cast<int>(B), channels = static_cast<int>(C);
  check(afaParShrink(planes, count, pixels.const_data_ptr<float>(), H, W, small.mutable_data_ptr<float>(), 3,
                     /*alignCorners=*/false, stream()));
  check(afaParShrink(planes, count, maps.const_data_ptr<float>(), H, W, from.mutable_data_ptr<float>(), channels,
                     /*alignCorners=*/true, stream()));
  const auto refined = rounds(planes, around, small, from, config.iterations);
  auto out = at::empty_like(maps);
  check(afaParGrow(planes, count, refined.const_data_ptr<float>(), out.mutable_data_ptr<float>(), H, W, channels,
                   stream()));
  return out;
}

at::Tensor affinityLabel(const at::Tensor& label, int64_t h, int64_t w, const at::Tensor& near, int64_t ignoreIndex) {
  checkTogether(label, near);
  TORCH_CHECK(h * w <= kMostPositions, "Expected a grid of at most ", kMostPositions, " positions but received ", h,
              " x ", w);
  const c10::cuda::CUDAGuard guard(label.device());
  const auto own = label.contiguous(), reach = near.contiguous();
  auto out = at::empty({label.size(0), h * w, h * w}, label.options().dtype(at::kByte));
  if (out.numel() == 0) return out;
  const PairGrid grid{static_cast<int>(h), static_cast<int>(w)};
  check(afaPairLabels(grid, reach.const_data_ptr<bool>(), static_cast<int>(label.size(0)), own.const_data_ptr<int64_t>(),
                      static_cast<int>(label.size(1)), static_cast<int>(label.size(2)), static_cast<int>(ignoreIndex),
                      out.mutable_data_ptr<uint8_t>(), stream()));
  return out;
}

namespace {

class AffinitySums : public torch::autograd::Function<AffinitySums> {
 public:
  using Context = torch::autograd::AutogradContext;
  using Tensors = torch::autograd::variable_list;

  static Tensors forward(Context* context, const at::Tensor& affinity, const at::Tensor& label) {
    const auto values = affinity.contiguous(), labels = label.contiguous();
    auto partial = at::empty({afaPairBlocks(values.numel()), static_cast<int64_t>(sizeof(PairSums))},
                             values.options().dtype(at::kByte));
    auto sums = at::empty({2}, values.options());
    auto counts = at::empty({2}, values.options().dtype(at::kLong));
    check(afaPairSums(values.numel(), values.const_data_ptr<float>(), labels.const_data_ptr<uint8_t>(),
                      reinterpret_cast<PairSums*>(partial.mutable_data_ptr<uint8_t>()), sums.mutable_data_ptr<float>(),
                      counts.mutable_data_ptr<int64_t>(), stream()));
    // The gradient does not depend on the affinity itself: it may be freed.
    context->save_for_backward({labels});
    context->mark_non_differentiable({counts});
    return {sums, counts};
  }

  static Tensors backward(Context* context, Tensors gradients) {
    const auto labels = context->get_saved_variables()[0];
    const c10::cuda::CUDAGuard guard(labels.device());
    const auto ofSums = gradients[0].contiguous();
    auto out = at::empty(labels.sizes(), ofSums.options());
    if (out.numel() == 0) return {out, at::Tensor()};
    check(afaPairGradients(labels.numel(), labels.const_data_ptr<uint8_t>(), ofSums.const_data_ptr<float>(),
                           out.mutable_data_ptr<float>(), stream()));
    return {out, at::Tensor()};
  }
};

}  // namespace

std::tuple<at::Tensor, at::Tensor, at::Tensor> affinitySums(const at::Tensor& affinity, const at::Tensor& label) {
  checkTogether(affinity, label);
  const c10::cuda::CUDAGuard guard(affinity.device());
  auto out = AffinitySums::apply(affinity, label);
  return {out[0].select(0, 0), out[0].select(0, 1), out[1]};
}

at::Tensor randomWalk(const at::Tensor& affinity, const at::Tensor& scores, int64_t w, int64_t radius) {
  checkTogether(affinity, scores);
  const c10::cuda::CUDAGuard guard(affinity.device());
  const auto pairs = affinity.contiguous(), own = scores.contiguous();
  auto out = at::empty_like(own);
  if (out.numel() == 0) return out;
  const PairGrid grid{static_cast<int>(affinity.size(1) / w), static_cast<int>(w)};
  check(afaWalk(grid, static_cast<int>(radius), static_cast<int>(own.size(0)), pairs.const_data_ptr<float>(),
                own.const_data_ptr<float>(), static_cast<int>(own.size(1)), out.mutable_data_ptr<float>(), stream()));
  return out;
}

}  // namespace afa::cam::cuda
#endif
