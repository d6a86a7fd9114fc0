#include "cam/par.h"

#include <ATen/Parallel.h>

#include <cmath>

#include "cam/cuda/fused.h"
#include "cam/par_kernels.h"

namespace afa::cam {

namespace {

constexpr double kPositionWeight = 0.01;  // w3 of the paper's equation 10
constexpr double kBandwidth = 0.3;

// Eight neighbours for each dilation, in the order of a 3x3 kernel without its centre.
std::vector<Offset> neighbours(const std::vector<int64_t>& dilations) {
  std::vector<Offset> out;
  for (auto d : dilations)
    for (int64_t dy = -1; dy <= 1; ++dy)
      for (int64_t dx = -1; dx <= 1; ++dx)
        if (dy != 0 || dx != 0) out.push_back({dy * d, dx * d});
  return out;
}

// The position term depends on the offsets alone: 0.01 * softmax(-(distance / (std + 1e-8) / 0.3)²), [K].
at::Tensor positionWeights(const std::vector<Offset>& offsets) {
  std::vector<float> distance;
  for (const auto& o : offsets) distance.push_back(std::hypot(static_cast<float>(o.dy), static_cast<float>(o.dx)));
  auto d = at::tensor(distance);
  auto scaled = d / (at::std(d) + 1e-8) / kBandwidth;
  return at::softmax(-scaled.square(), 0) * kPositionWeight;
}

int64_t rowGrain(const Grid& grid) { return std::max<int64_t>(1, 4096 / grid.w); }

at::Tensor refineCpu(const at::Tensor& image, const at::Tensor& masks, const std::vector<Offset>& offsets,
                     const at::Tensor& position, const ParConfig& config) {
  const int64_t count = static_cast<int64_t>(offsets.size()), channels = masks.size(0);
  const Grid grid{image.size(1), image.size(2), *std::max_element(config.dilations.begin(), config.dilations.end())};

  auto paddedImage = at::empty({3, grid.paddedSize()});
  for (int64_t c = 0; c < 3; ++c)
    padReplicate(image[c].const_data_ptr<float>(), grid, paddedImage[c].mutable_data_ptr<float>());
  auto logits = at::empty({count, grid.h, grid.w});
  const float* source = paddedImage.const_data_ptr<float>();
  float* target = logits.mutable_data_ptr<float>();
  at::parallel_for(0, grid.h, rowGrain(grid), [&](int64_t begin, int64_t end) {
    for (int64_t y = begin; y < end; ++y) similarityRow(source, grid, offsets, y, target);
  });
  auto weights = at::softmax(logits, 0).add_(position.view({count, 1, 1}));

  auto current = masks.clone();
  auto padded = at::empty({channels, grid.paddedSize()});
  const float* weight = weights.const_data_ptr<float>();
  const float* from = padded.const_data_ptr<float>();
  float* values = current.mutable_data_ptr<float>();
  float* toPad = padded.mutable_data_ptr<float>();
  for (int64_t i = 0; i < config.iterations; ++i) {
    for (int64_t c = 0; c < channels; ++c)
      padReplicate(values + c * grid.h * grid.w, grid, toPad + c * grid.paddedSize());
    at::parallel_for(0, grid.h, rowGrain(grid), [&](int64_t begin, int64_t end) {
      for (int64_t y = begin; y < end; ++y) averageRow(from, grid, offsets, weight, channels, y, values);
    });
  }
  return current;
}

// x [B, c, h + 2p, w + 2p] seen from neighbour o: a view.
at::Tensor shifted(const at::Tensor& padded, const Offset& o, const Grid& grid) {
  return padded.narrow(2, grid.pad + o.dy, grid.h).narrow(3, grid.pad + o.dx, grid.w);
}

// The same on any device, by views: used where no fused kernel is at hand, and to check those that are.
at::Tensor refineGeneric(const at::Tensor& images, at::Tensor masks, const std::vector<Offset>& offsets,
                         const at::Tensor& position, const ParConfig& config) {
  const Grid grid{images.size(2), images.size(3),
                  *std::max_element(config.dilations.begin(), config.dilations.end())};
  const std::array<int64_t, 4> padding{grid.pad, grid.pad, grid.pad, grid.pad};
  auto paddedImages = at::replication_pad2d(images, padding);
  std::vector<at::Tensor> views;
  for (const auto& o : offsets) views.push_back(shifted(paddedImages, o, grid));
  auto stacked = at::stack(views, 2);
  auto deviation = at::std(stacked, at::OptionalIntArrayRef({2}), 1, true) + 1e-8;
  auto logits = -((stacked - images.unsqueeze(2)).abs() / deviation / kBandwidth).square().mean({1});
  auto weights = at::softmax(logits, 1) + position.to(images.device()).view({1, -1, 1, 1});
  for (int64_t i = 0; i < config.iterations; ++i) {
    auto padded = at::replication_pad2d(masks, padding);
    auto next = at::zeros_like(masks);
    for (size_t k = 0; k < offsets.size(); ++k)
      next.addcmul_(shifted(padded, offsets[k], grid), weights.narrow(1, static_cast<int64_t>(k), 1));
    masks = next;
  }
  return masks;
}

}  // namespace

at::Tensor refine(const at::Tensor& images, const at::Tensor& masks, const ParConfig& config) {
  at::NoGradGuard guard;
  TORCH_CHECK(images.dim() == 4 && images.size(1) == 3, "Expected images of shape [B, 3, h, w] but received ",
              images.sizes());
  TORCH_CHECK(masks.dim() == 4 && masks.size(0) == images.size(0), "Expected masks of shape [", images.size(0),
              ", c, h, w] but received ", masks.sizes());
  TORCH_CHECK(!config.dilations.empty(), "PAR needs at least one dilation");
  // Offsets are read without bounds inside the padding, which is as wide as the largest dilation.
  for (auto d : config.dilations) TORCH_CHECK(d >= 1, "Expected every dilation to be at least 1 but received ", d);
  const auto offsets = neighbours(config.dilations);
  const auto position = positionWeights(offsets);
  auto resized = at::upsample_bilinear2d(masks, images.sizes().slice(2), /*align_corners=*/true);
#ifdef AFA_CUDA
  if (cuda::fuses(images, at::kFloat) && cuda::fuses(resized, at::kFloat))
    return cuda::refine(images, resized, offsets, position, config);
#endif
  if (!images.is_cpu() || images.scalar_type() != at::kFloat || resized.scalar_type() != at::kFloat)
    return refineGeneric(images, resized, offsets, position, config);
  auto out = at::empty_like(resized, at::MemoryFormat::Contiguous);
  for (int64_t b = 0; b < images.size(0); ++b)
    out[b].copy_(refineCpu(images[b].contiguous(), resized[b].contiguous(), offsets, position, config));
  return out;
}

at::Tensor refineBoxesFused(const at::Tensor& images, const at::Tensor& masks, const at::Tensor& boxes,
                            const ParConfig& config) {
#ifdef AFA_CUDA
  if (cuda::fuses(images, at::kFloat) && cuda::fuses(masks, at::kFloat)) {
    const auto offsets = neighbours(config.dilations);
    return cuda::refineInBoxes(images, masks, boxes, offsets, positionWeights(offsets), config);
  }
#endif
  return {};
}

}  // namespace afa::cam
