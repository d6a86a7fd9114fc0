// Over some or all dimensions. An absent `dims` means all of them.
#include "registration.h"

namespace afa {

namespace {

using Dims = std::optional<std::vector<int64_t>>;

at::OptionalIntArrayRef over(const Dims& dims) {
  return dims ? at::OptionalIntArrayRef(*dims) : at::OptionalIntArrayRef();
}

std::vector<int64_t> allIfAbsent(const Dims& dims, const at::Tensor& self) {
  if (dims) return *dims;
  std::vector<int64_t> all(self.dim());
  for (int64_t i = 0; i < self.dim(); ++i) all[i] = i;
  return all;
}

}  // namespace

void registerReduction(Exports& m) {
  using at::Tensor;
  m.def("sum", {"self", "dims", "keepdim"},
        +[](Tensor a, Dims dims, bool keepdim) { return at::sum(a, over(dims), keepdim); });
  m.def("mean", {"self", "dims", "keepdim"},
        +[](Tensor a, Dims dims, bool keepdim) { return at::mean(a, over(dims), keepdim); });
  m.def("std", {"self", "dims", "keepdim"}, +[](Tensor a, Dims dims, bool keepdim) {
    return at::std(a, over(dims), /*correction=*/1, keepdim);
  });
  m.def("amax", {"self", "dims", "keepdim"},
        +[](Tensor a, Dims dims, bool keepdim) { return at::amax(a, allIfAbsent(dims, a), keepdim); });
  m.def("amin", {"self", "dims", "keepdim"},
        +[](Tensor a, Dims dims, bool keepdim) { return at::amin(a, allIfAbsent(dims, a), keepdim); });
  m.def("maxDim", {"self", "dim", "keepdim"},
        +[](Tensor a, int64_t dim, bool keepdim) { return at::max(a, dim, keepdim); });
  m.def("argmax", {"self", "dim", "keepdim"}, +[](Tensor a, std::optional<int64_t> dim, bool keepdim) {
    return at::argmax(a, dim, keepdim);
  });
  m.def("all", {"self"}, +[](Tensor a) { return at::all(a); });
  m.def("any", {"self"}, +[](Tensor a) { return at::any(a); });
  m.def("norm", {"self"}, +[](Tensor a) { return at::norm(a); });
  m.def("softmax", {"self", "dim"}, +[](Tensor a, int64_t dim) { return at::softmax(a, dim); });
  m.def("logSoftmax", {"self", "dim"}, +[](Tensor a, int64_t dim) { return at::log_softmax(a, dim); });
  m.def("cumsum", {"self", "dim"}, +[](Tensor a, int64_t dim) { return at::cumsum(a, dim); });
  m.def("allclose", {"self", "other", "rtol", "atol"},
        +[](Tensor a, Tensor b, double rtol, double atol) { return at::allclose(a, b, rtol, atol); });
}

}  // namespace afa
