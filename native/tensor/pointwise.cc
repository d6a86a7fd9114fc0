// Element by element, with broadcasting and PyTorch's type promotion.
#include "registration.h"

namespace afa {

namespace {

// On the other's device, without waiting for it. A number is written there, and still promotes as numbers do.
at::Tensor beside(const at::Tensor& other, const Operand& operand) {
  if (other.is_cpu() || !operand.tensor.unsafeGetTensorImpl()->is_wrapped_number())
    return operand.tensor.to(other.device(), /*non_blocking=*/operand.tensor.is_cpu() && other.is_cuda());
  auto dtype = operand.tensor.scalar_type();
  if (dtype == at::kDouble && other.is_mps()) dtype = at::kFloat;  // Metal has no other
  auto there = at::full({}, operand.tensor.item(), other.options().dtype(dtype).requires_grad(false));
  there.unsafeGetTensorImpl()->set_wrapped_number(true);
  return there;
}

}  // namespace

void registerPointwise(Exports& m) {
  using at::Tensor;
  m.def("add", {"self", "other"}, +[](Tensor a, Operand b) { return at::add(a, b.tensor); });
  m.def("sub", {"self", "other"}, +[](Tensor a, Operand b) { return at::sub(a, b.tensor); });
  m.def("mul", {"self", "other"}, +[](Tensor a, Operand b) { return at::mul(a, b.tensor); });
  m.def("div", {"self", "other"}, +[](Tensor a, Operand b) { return at::div(a, b.tensor); });
  // A number goes in as a scalar: only then are negative powers of integers refused.
  m.def("pow", {"self", "exponent"}, +[](Tensor a, Operand b) {
    const bool number = b.tensor.unsafeGetTensorImpl()->is_wrapped_number();
    return number ? at::pow(a, b.tensor.item()) : at::pow(a, b.tensor);
  });
  m.def("maximum", {"self", "other"}, +[](Tensor a, Operand b) { return at::maximum(a, beside(a, b)); });
  m.def("minimum", {"self", "other"}, +[](Tensor a, Operand b) { return at::minimum(a, beside(a, b)); });

  m.def("neg", {"self"}, +[](Tensor a) { return at::neg(a); });
  m.def("abs", {"self"}, +[](Tensor a) { return at::abs(a); });
  m.def("exp", {"self"}, +[](Tensor a) { return at::exp(a); });
  m.def("log", {"self"}, +[](Tensor a) { return at::log(a); });
  m.def("sqrt", {"self"}, +[](Tensor a) { return at::sqrt(a); });
  m.def("square", {"self"}, +[](Tensor a) { return at::square(a); });
  m.def("tanh", {"self"}, +[](Tensor a) { return at::tanh(a); });
  m.def("sigmoid", {"self"}, +[](Tensor a) { return at::sigmoid(a); });
  m.def("relu", {"self"}, +[](Tensor a) { return at::relu(a); });
  m.def("gelu", {"self"}, +[](Tensor a) { return at::gelu(a); });
  m.def("floor", {"self"}, +[](Tensor a) { return at::floor(a); });
  m.def("round", {"self"}, +[](Tensor a) { return at::round(a); });
  m.def("clamp", {"self", "min", "max"}, +[](Tensor a, std::optional<double> min, std::optional<double> max) {
    std::optional<at::Scalar> low, high;
    if (min) low = scalarOf(*min);
    if (max) high = scalarOf(*max);
    return at::clamp(a, low, high);
  });

  m.def("eq", {"self", "other"}, +[](Tensor a, Operand b) { return at::eq(a, b.tensor); });
  m.def("ne", {"self", "other"}, +[](Tensor a, Operand b) { return at::ne(a, b.tensor); });
  m.def("lt", {"self", "other"}, +[](Tensor a, Operand b) { return at::lt(a, b.tensor); });
  m.def("le", {"self", "other"}, +[](Tensor a, Operand b) { return at::le(a, b.tensor); });
  m.def("gt", {"self", "other"}, +[](Tensor a, Operand b) { return at::gt(a, b.tensor); });
  m.def("ge", {"self", "other"}, +[](Tensor a, Operand b) { return at::ge(a, b.tensor); });
  m.def("logicalAnd", {"self", "other"}, +[](Tensor a, Tensor b) { return at::logical_and(a, b); });
  m.def("logicalOr", {"self", "other"}, +[](Tensor a, Tensor b) { return at::logical_or(a, b); });
  m.def("logicalNot", {"self"}, +[](Tensor a) { return at::logical_not(a); });
  m.def("isfinite", {"self"}, +[](Tensor a) { return at::isfinite(a); });
  m.def("where", {"condition", "self", "other"}, +[](Tensor condition, Operand a, Operand b) {
    return at::where(condition, beside(condition, a), beside(condition, b));
  });
  m.def("maskedFill", {"self", "mask", "value"},
        +[](Tensor a, Tensor mask, double value) { return at::masked_fill(a, mask, value); });

  m.def("add_", {"self", "other"}, +[](Tensor a, Operand b) { a.add_(b.tensor); });
  m.def("mul_", {"self", "other"}, +[](Tensor a, Operand b) { a.mul_(b.tensor); });
  m.def("fill_", {"self", "value"}, +[](Tensor a, double value) { a.fill_(value); });
  m.def("copy_", {"self", "source"}, +[](Tensor a, Tensor source) { a.copy_(source); });
}

}  // namespace afa
