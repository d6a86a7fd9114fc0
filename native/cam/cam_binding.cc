#include "cam/cam_binding.h"

#include "cam/affinity.h"
#include "cam/box_mask.h"
#include "cam/dense_crf.h"
#include "cam/multi_scale_cam.h"
#include "cam/par.h"
#include "cam/refine_in_boxes.h"
#include "nn/wetr_binding.h"

namespace afa {

namespace {

using Model = std::shared_ptr<nn::WeTr>;
using MultiScale = std::tuple<at::Tensor, at::Tensor, int64_t, int64_t, std::string>;

MultiScale multiScaleCam(Model model, at::Tensor images, std::vector<double> scales, bool affinity,
                         bool flippedAffinity, int64_t chunk, std::optional<at::Tensor> scaleOne) {
  auto out = cam::multiScaleCam(*model, images,
                                {scales, affinity, flippedAffinity, chunk, scaleOne.value_or(at::Tensor())});
  return {out.cam, out.affinity, out.gridHeight, out.gridWidth, out.graphFault};
}

// Everything that an embedder's predict() needs, in one job of the compute thread:
// class logits, segmentation logits, multi-scale CAM; and graphFault.
std::tuple<at::Tensor, at::Tensor, at::Tensor, std::string> predict(Model model, at::Tensor images,
                                                                    std::vector<double> scales, int64_t chunk) {
  at::NoGradGuard guard;
  auto out = model->forward(images, {.cls = true, .seg = true, .cam = true});
  // On a GPU the CAM passes may be a graph, which has its own pass at scale 1.
  const auto scaleOne = images.is_cuda() ? at::Tensor() : out.cam;
  const auto maps = cam::multiScaleCam(*model, images, {scales, false, false, chunk, scaleOne});
  return {out.cls, out.seg, maps.cam, maps.graphFault};
}

at::Tensor denseCrf(at::Tensor rgb, at::Tensor probabilities, int64_t iterations, double posW, double posXyStd,
                    double biW, double biXyStd, double biRgbStd) {
  return cam::denseCrf(rgb, probabilities, {iterations, posW, posXyStd, biW, biXyStd, biRgbStd});
}

}  // namespace

void registerCam(Exports& m) {
  m.def("multiScaleCam", {"model", "images", "scales", "affinity", "flippedAffinity", "chunk", "scaleOne"},
        multiScaleCam);
  m.defAsync("predictAsync", {"model", "images", "scales", "chunk"}, predict);
  m.def("pixelAdaptiveRefine", {"images", "masks", "dilations", "iterations"},
        +[](at::Tensor images, at::Tensor masks, std::vector<int64_t> dilations, int64_t iterations) {
          return cam::refine(images, masks, {dilations, iterations});
        });
  m.def("refineInBoxes", {"images", "masks", "boxes", "dilations", "iterations"},
        +[](at::Tensor images, at::Tensor masks, at::Tensor boxes, std::vector<int64_t> dilations, int64_t iterations) {
          return cam::refineInBoxes(images, masks, boxes, {dilations, iterations});
        });
  m.def("boxMask", {"boxes", "height", "width", "device"},
        +[](at::Tensor boxes, int64_t height, int64_t width, at::Device device) {
          return cam::boxMask(boxes, height, width, device);
        });
  m.def("affinityLabel", {"label", "height", "width", "near", "ignoreIndex"},
        +[](at::Tensor label, int64_t h, int64_t w, at::Tensor near, int64_t ignoreIndex) {
          return cam::affinityLabel(label, h, w, near, ignoreIndex);
        });
  m.def("affinitySums", {"affinity", "label"},
        +[](at::Tensor affinity, at::Tensor label) { return cam::affinitySums(affinity, label); });
  m.def("randomWalk", {"affinity", "scores", "near", "width", "radius"},
        +[](at::Tensor affinity, at::Tensor scores, at::Tensor near, int64_t w, int64_t radius) {
          return cam::randomWalk(affinity, scores, near, w, radius);
        });
  const std::vector<const char*> crf{"rgb",  "probabilities", "iterations", "posW",
                                     "posXyStd", "biW",       "biXyStd",    "biRgbStd"};
  m.def("denseCrf", crf, denseCrf);
  m.defAsync("denseCrfAsync", crf, denseCrf);
}

}  // namespace afa
