#include "cam/multi_scale_cam.h"

#include <algorithm>

#include "cam/cam_graphs.h"
#include "nn/autocast.h"
#include "nn/weight_casts.h"

namespace afa::cam {

namespace {

std::vector<double> orderedScales(const std::vector<double>& scales) {
  std::vector<double> out{1.0};
  for (auto s : scales)
    if (s != 1.0) out.push_back(s);
  return out;
}

// Maps [B, C, h, w] of images and of their mirror images to [B, C, H, W], rectified.
at::Tensor bestOfMirror(const at::Tensor& maps, const at::Tensor& mirrored, std::array<int64_t, 2> size) {
  const int64_t B = maps.size(0);
  // Mirrored back before resizing: the resize is symmetric, and the map is 256 times smaller here.
  auto both = at::cat({maps, mirrored.flip({3})});
  both = at::upsample_bilinear2d(both.contiguous(), size, /*align_corners=*/false);
  return at::maximum(both.narrow(0, 0, B), both.narrow(0, B, B)).relu_();
}

// Maps of one scale, best of image and mirror image, at full size and rectified; fills `out`'s affinity if wanted.
at::Tensor scaledCam(const nn::WeTr& model, const at::Tensor& images, double scale, const MultiScaleConfig& config,
                     bool affinity, MultiScaleOutput& out) {
  const int64_t B = images.size(0), H = images.size(2), W = images.size(3);
  auto inputs = images;
  if (scale != 1.0) {
    const std::array<int64_t, 2> size{static_cast<int64_t>(scale * H), static_cast<int64_t>(scale * W)};
    inputs = at::upsample_bilinear2d(images, size, /*align_corners=*/false);
  }
  nn::WeTrWanted wanted{.cam = true, .affinity = affinity};
  if (affinity && !config.flippedAffinity) wanted.affinityImages = B;
  if (scale == 1.0 && config.scaleOne.defined()) {
    TORCH_CHECK(!affinity, "Maps of scale 1 from another pass come without its affinity: a scale above 1 is needed");
    return bestOfMirror(config.scaleOne, model.forward(inputs.flip({3}), wanted).cam, {H, W});
  }
  auto result = model.forward(at::cat({inputs, inputs.flip({3})}), wanted);
  if (affinity) {
    out.affinity = result.affinity;
    out.gridHeight = result.cam.size(2);
    out.gridWidth = result.cam.size(3);
  }
  return bestOfMirror(result.cam.narrow(0, 0, B), result.cam.narrow(0, B, B), {H, W});
}

MultiScaleOutput run(const nn::WeTr& model, const at::Tensor& images, const MultiScaleConfig& config) {
  // Once for all scales, and within what a graph records, or it would read these casts for ever.
  const nn::WeightCasts casts(model.state().factors(), model.bfloat16());
  const auto scales = orderedScales(config.scales);
  const auto largest = *std::max_element(scales.begin(), scales.end());
  MultiScaleOutput out;
  for (auto scale : scales) {
    auto cam = scaledCam(model, images, scale, config, config.affinity && scale == largest, out);
    out.cam = out.cam.defined() ? out.cam.add_(cam) : cam;
  }
  out.cam.sub_(at::amin(out.cam, {2, 3}, /*keepdim=*/true));
  out.cam.div_(at::amax(out.cam, {2, 3}, /*keepdim=*/true) + 1e-5);
  return out;
}

}  // namespace

MultiScaleOutput multiScaleCam(const nn::WeTr& model, const at::Tensor& images, const MultiScaleConfig& config) {
  at::NoGradGuard guard;
  TORCH_CHECK(images.dim() == 4 && images.size(1) == 3, "Expected images of shape [B, 3, H, W] but received ",
              images.sizes());
  const nn::Autocast autocast(images.device(), model.bfloat16());
  const int64_t B = images.size(0), step = config.chunk > 0 ? config.chunk : B;
  if (step >= B) {
    const auto pass = [&](const at::Tensor& input) { return run(model, input, config); };
    // A graph would read the maps of scale 1 where they lay when it was captured.
    std::string fault;
    if (!config.scaleOne.defined())
      if (auto replayed = replayPass(model, images, config, pass, fault)) return *replayed;
    auto out = pass(images);
    out.graphFault = std::move(fault);
    return out;
  }

  MultiScaleOutput out;
  std::vector<at::Tensor> cams, affinities, flipped;
  for (int64_t begin = 0; begin < B; begin += step) {
    const int64_t n = std::min(step, B - begin);
    auto own = config;
    if (config.scaleOne.defined()) own.scaleOne = config.scaleOne.narrow(0, begin, n);
    auto part = run(model, images.narrow(0, begin, n), own);
    cams.push_back(part.cam);
    out.gridHeight = part.gridHeight;
    out.gridWidth = part.gridWidth;
    if (!config.affinity) continue;
    affinities.push_back(part.affinity.narrow(0, 0, n));
    if (config.flippedAffinity) flipped.push_back(part.affinity.narrow(0, n, n));
  }
  out.cam = at::cat(cams);
  affinities.insert(affinities.end(), flipped.begin(), flipped.end());
  if (!affinities.empty()) out.affinity = at::cat(affinities);
  return out;
}

}  // namespace afa::cam
