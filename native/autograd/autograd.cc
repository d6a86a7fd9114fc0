// Gradients through libtorch's own engine.
#include "autograd.h"

#include <ATen/core/grad_mode.h>

namespace afa {

void registerAutograd(Exports& m) {
  using at::Tensor;
  m.def("backward", {"self", "gradient"}, +[](Tensor self, std::optional<Tensor> gradient) {
    if (!self.requires_grad())
      invalidArgument("backward() needs a tensor that depends on a parameter with requiresGrad; this one does not");
    self.backward(gradient.value_or(Tensor()));
  });
  m.def("grad", {"self"}, +[](Tensor self) { return self.grad(); });
  m.def("clearGrad", {"self"}, +[](Tensor self) { self.mutable_grad().reset(); });
  m.def("requiresGrad", {"self"}, +[](Tensor self) { return self.requires_grad(); });
  m.def("setRequiresGrad", {"self", "value"}, +[](Tensor self, bool value) { self.set_requires_grad(value); });
  m.def("detach", {"self"}, +[](Tensor self) { return self.detach(); });
  m.def("isGradEnabled", {}, +[]() { return at::GradMode::is_enabled(); });
  m.def("setGradEnabled", {"value"}, +[](bool value) { at::GradMode::set_enabled(value); });
}

}  // namespace afa
