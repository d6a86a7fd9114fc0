// Between JavaScript values and C++ arguments: one FromJs per type, every refusal in the same words.
#pragma once
#include <ATen/ATen.h>
#include <napi.h>

#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "addon_data.h"
#include "errors.h"

namespace afa {

// A value on its way in, with what is needed to name it in an error.
struct Arg {
  Napi::Env env;
  Napi::Value value;
  const char* op;
  const char* name;
  int64_t index = -1;  // of an array's element

  std::string label() const { return index < 0 ? name : name + ("[" + std::to_string(index) + "]"); }
};

// "Expected a tensor for argument 'other' of add() but received the string 'abc'".
[[noreturn]] void refuse(const Arg& arg, const std::string& expected);
std::string describeValue(const Napi::Value& value);

at::ScalarType dtypeFromCode(int64_t code);
int64_t codeFromDtype(at::ScalarType dtype);

// A whole number is an integer scalar, as Python's int is: int tensors keep their dtype.
at::Scalar scalarOf(double number);

// A device by name, whether or not there is one; and whether this build and machine have it.
at::Device parseDevice(const Arg& arg);
bool deviceAvailable(at::Device device);

// A tensor, or a number that takes part in type promotion as Python's numbers do.
struct Operand {
  at::Tensor tensor;
};

template <class T>
struct FromJs;

template <>
struct FromJs<at::Tensor> {
  static at::Tensor get(const Arg& arg);
};
template <>
struct FromJs<Operand> {
  static Operand get(const Arg& arg);
};
template <>
struct FromJs<double> {
  static double get(const Arg& arg);
};
template <>
struct FromJs<int64_t> {
  static int64_t get(const Arg& arg);
};
template <>
struct FromJs<bool> {
  static bool get(const Arg& arg);
};
template <>
struct FromJs<std::string> {
  static std::string get(const Arg& arg);
};
template <>
struct FromJs<at::ScalarType> {
  static at::ScalarType get(const Arg& arg) { return dtypeFromCode(FromJs<int64_t>::get(arg)); }
};
template <>
struct FromJs<at::Device> {
  static at::Device get(const Arg& arg);
};
template <>
struct FromJs<TensorBox*> {
  static TensorBox* get(const Arg& arg);
};
template <>
struct FromJs<Napi::Value> {
  static Napi::Value get(const Arg& arg) { return arg.value; }
};

template <class T>
struct FromJs<std::optional<T>> {
  static std::optional<T> get(const Arg& arg) {
    if (arg.value.IsUndefined() || arg.value.IsNull()) return std::nullopt;
    return FromJs<T>::get(arg);
  }
};

template <class T>
struct FromJs<std::vector<T>> {
  static std::vector<T> get(const Arg& arg) {
    if (!arg.value.IsArray()) refuse(arg, "an array");
    auto array = arg.value.As<Napi::Array>();
    std::vector<T> out;
    const uint32_t length = array.Length();
    out.reserve(length);
    for (uint32_t i = 0; i < length; ++i) out.push_back(FromJs<T>::get({arg.env, array.Get(i), arg.op, arg.name, i}));
    return out;
  }
};

// Handles of other native objects specialise these two.
template <class T>
struct BoxTraits;

template <class T>
struct FromJs<std::shared_ptr<T>> {
  static std::shared_ptr<T> get(const Arg& arg) {
    auto* box = findBox(arg.env, arg.value);
    if (!box || box->kind != BoxTraits<T>::kind) refuse(arg, BoxTraits<T>::name);
    auto object = static_cast<ObjectBox<T>*>(box)->object;
    if (!object) throw ArgumentError("ERR_DISPOSED", std::string(BoxTraits<T>::name) + " passed to " + arg.op + "() was already disposed");
    return object;
  }
};

inline Napi::Value toJs(Napi::Env, Napi::Value value) { return value; }
inline Napi::Value toJs(Napi::Env env, at::Tensor tensor) {
  return tensor.defined() ? wrapTensor(env, std::move(tensor)) : env.Null();
}
inline Napi::Value toJs(Napi::Env env, double value) { return Napi::Number::New(env, value); }
inline Napi::Value toJs(Napi::Env env, int64_t value) {
  return Napi::Number::New(env, static_cast<double>(value));
}
inline Napi::Value toJs(Napi::Env env, bool value) { return Napi::Boolean::New(env, value); }
inline Napi::Value toJs(Napi::Env env, const std::string& value) { return Napi::String::New(env, value); }

template <class T>
Napi::Value toJs(Napi::Env env, const std::vector<T>& values) {
  auto array = Napi::Array::New(env, values.size());
  for (uint32_t i = 0; i < values.size(); ++i) array.Set(i, toJs(env, values[i]));
  return array;
}
template <class... T>
Napi::Value toJs(Napi::Env env, const std::tuple<T...>& values) {
  auto array = Napi::Array::New(env, sizeof...(T));
  std::apply([&](const auto&... v) { uint32_t i = 0; (array.Set(i++, toJs(env, v)), ...); }, values);
  return array;
}
template <class T>
Napi::Value toJs(Napi::Env env, std::shared_ptr<T> object) {
  return wrapBox(env, std::make_unique<ObjectBox<T>>(BoxTraits<T>::kind, std::move(object)));
}

}  // namespace afa
