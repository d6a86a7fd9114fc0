// Views, copies and indexing.
#include "registration.h"

namespace afa {

void registerShape(Exports& m) {
  using at::Tensor;
  using Ints = std::vector<int64_t>;
  m.def("reshape", {"self", "shape"}, +[](Tensor a, Ints shape) { return a.reshape(shape); });
  m.def("view", {"self", "shape"}, +[](Tensor a, Ints shape) { return a.view(shape); });
  m.def("permute", {"self", "dims"}, +[](Tensor a, Ints dims) { return a.permute(dims); });
  m.def("transpose", {"self", "dim0", "dim1"},
        +[](Tensor a, int64_t dim0, int64_t dim1) { return a.transpose(dim0, dim1); });
  m.def("squeeze", {"self", "dim"}, +[](Tensor a, int64_t dim) { return a.squeeze(dim); });
  m.def("unsqueeze", {"self", "dim"}, +[](Tensor a, int64_t dim) { return a.unsqueeze(dim); });
  m.def("expand", {"self", "shape"}, +[](Tensor a, Ints shape) { return a.expand(shape); });
  m.def("repeat", {"self", "repeats"}, +[](Tensor a, Ints repeats) { return a.repeat(repeats); });
  m.def("flip", {"self", "dims"}, +[](Tensor a, Ints dims) { return a.flip(dims); });
  m.def("cat", {"tensors", "dim"}, +[](std::vector<Tensor> tensors, int64_t dim) { return at::cat(tensors, dim); });
  m.def("stack", {"tensors", "dim"},
        +[](std::vector<Tensor> tensors, int64_t dim) { return at::stack(tensors, dim); });
  m.def("narrow", {"self", "dim", "start", "length"},
        +[](Tensor a, int64_t dim, int64_t start, int64_t length) { return a.narrow(dim, start, length); });
  m.def("select", {"self", "dim", "index"},
        +[](Tensor a, int64_t dim, int64_t index) { return a.select(dim, index); });
  m.def("indexSelect", {"self", "dim", "index"},
        +[](Tensor a, int64_t dim, Tensor index) { return a.index_select(dim, index); });
  m.def("gather", {"self", "dim", "index"},
        +[](Tensor a, int64_t dim, Tensor index) { return a.gather(dim, index); });
  m.def("contiguous", {"self"}, +[](Tensor a) { return a.contiguous(); });
  m.def("clone", {"self"}, +[](Tensor a) { return a.clone(); });
}

}  // namespace afa
