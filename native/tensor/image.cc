// Resizing and pooling of [B,C,H,W] tensors.
#include "registration.h"
#include "tensor/resize.h"

namespace afa {

namespace {

at::Tensor interpolate(at::Tensor self, std::vector<int64_t> size, std::string mode, bool alignCorners) {
  if (mode == "nearest") return at::upsample_nearest2d(self, size);
  if (mode == "bilinear") return resizeBilinear(self, size, alignCorners);
  invalidArgument("Expected 'bilinear' or 'nearest' for argument 'mode' of interpolate() but received '" + mode + "'");
}

}  // namespace

void registerImage(Exports& m) {
  using at::Tensor;
  using Ints = std::vector<int64_t>;
  m.def("interpolate", {"self", "size", "mode", "alignCorners"}, interpolate);
  m.def("adaptiveMaxPool2d", {"self", "size"},
        +[](Tensor a, Ints size) { return std::get<0>(at::adaptive_max_pool2d(a, size)); });
  m.def("adaptiveAvgPool2d", {"self", "size"}, +[](Tensor a, Ints size) { return at::adaptive_avg_pool2d(a, size); });
  m.def("pad", {"self", "padding", "mode", "value"},
        +[](Tensor a, Ints padding, std::string mode, double value) { return at::pad(a, padding, mode, value); });
}

}  // namespace afa
