#include "convert.h"

#include <ATen/ScalarOps.h>
#include <ATen/detail/CUDAHooksInterface.h>

#include <cmath>

namespace afa {

namespace {

// The order of DTYPES in src/tensor/dtypes.ts.
constexpr at::ScalarType kDtypes[] = {at::kFloat, at::kDouble, at::kHalf, at::kBFloat16, at::kLong,
                                      at::kInt,   at::kShort,  at::kChar, at::kByte,     at::kBool};
constexpr int64_t kDtypeCount = 10;
constexpr double kLargestExact = 9007199254740991.0;  // beyond it doubles skip integers
static_assert(sizeof(kDtypes) / sizeof(kDtypes[0]) == kDtypeCount, "src/tensor/dtypes.ts has ten rows");

}  // namespace

at::ScalarType dtypeFromCode(int64_t code) {
  if (code < 0 || code >= kDtypeCount) invalidArgument("Unknown dtype code " + std::to_string(code));
  return kDtypes[code];
}

int64_t codeFromDtype(at::ScalarType dtype) {
  for (int64_t i = 0; i < kDtypeCount; ++i)
    if (kDtypes[i] == dtype) return i;
  invalidArgument(std::string("Tensors of dtype ") + c10::toString(dtype) + " are not supported in JavaScript");
}

std::string describeValue(const Napi::Value& value) {
  if (value.IsEmpty() || value.IsUndefined()) return "undefined";
  if (value.IsNull()) return "null";
  if (value.IsNumber()) return "the number " + value.ToString().Utf8Value();
  if (value.IsString()) return "the string '" + value.As<Napi::String>().Utf8Value().substr(0, 40) + "'";
  if (value.IsBoolean()) return value.As<Napi::Boolean>() ? "true" : "false";
  if (value.IsArray()) return "an array of " + std::to_string(value.As<Napi::Array>().Length());
  if (value.IsFunction()) return "a function";
  if (value.IsBigInt()) return "a bigint";
  return "an object";
}

void refuse(const Arg& arg, const std::string& expected) {
  invalidArgument("Expected " + expected + " for argument '" + arg.label() + "' of " + arg.op +
                  "() but received " + describeValue(arg.value));
}

TensorBox* FromJs<TensorBox*>::get(const Arg& arg) {
  auto* box = findBox(arg.env, arg.value);
  if (!box || box->kind != Box::Kind::Tensor) refuse(arg, "a Tensor");
  return static_cast<TensorBox*>(box);
}

at::Tensor FromJs<at::Tensor>::get(const Arg& arg) {
  const auto& tensor = FromJs<TensorBox*>::get(arg)->tensor;
  if (!tensor.defined())
    throw ArgumentError("ERR_DISPOSED", "The Tensor passed as '" + arg.label() + "' to " + arg.op +
                                            "() was already disposed; keep() it when a scope must not free it");
  return tensor;
}

at::Scalar scalarOf(double number) {
  const bool whole = std::floor(number) == number && std::abs(number) <= kLargestExact;
  return whole ? at::Scalar(static_cast<int64_t>(number)) : at::Scalar(number);
}

Operand FromJs<Operand>::get(const Arg& arg) {
  if (!arg.value.IsNumber()) return {FromJs<at::Tensor>::get(arg)};
  const double number = arg.value.As<Napi::Number>().DoubleValue();
  auto tensor = c10::scalar_to_tensor(scalarOf(number));
  tensor.unsafeGetTensorImpl()->set_wrapped_number(true);
  return {tensor};
}

double FromJs<double>::get(const Arg& arg) {
  if (!arg.value.IsNumber()) refuse(arg, "a number");
  return arg.value.As<Napi::Number>().DoubleValue();
}

int64_t FromJs<int64_t>::get(const Arg& arg) {
  const double number = arg.value.IsNumber() ? arg.value.As<Napi::Number>().DoubleValue() : NAN;
  if (std::floor(number) != number || !(std::abs(number) <= kLargestExact)) refuse(arg, "an integer");
  return static_cast<int64_t>(number);
}

bool FromJs<bool>::get(const Arg& arg) {
  if (!arg.value.IsBoolean()) refuse(arg, "true or false");
  return arg.value.As<Napi::Boolean>();
}

std::string FromJs<std::string>::get(const Arg& arg) {
  if (!arg.value.IsString()) refuse(arg, "a string");
  return arg.value.As<Napi::String>();
}

at::Device parseDevice(const Arg& arg) {
  try {
    return at::Device(FromJs<std::string>::get(arg));
  } catch (const c10::Error&) {
    refuse(arg, "a device such as 'cpu', 'cuda', 'cuda:1' or 'mps'");
  }
}

bool deviceAvailable(at::Device device) {
  if (device.is_cpu()) return true;
  if (device.is_cuda())
    return at::hasCUDA() && at::detail::getCUDAHooks().deviceCount() > std::max<int>(0, device.index());
  return device.is_mps() && at::hasMPS();
}

at::Device FromJs<at::Device>::get(const Arg& arg) {
  const auto device = parseDevice(arg);
  // libtorch's own message lists every backend and kernel it has: seven thousand characters.
  if (!deviceAvailable(device)) refuse(arg, "a device that this build and machine have");
  return device;
}

}  // namespace afa
