// State of one JavaScript environment: the main thread and every worker thread have their own.
#pragma once
#include <ATen/ATen.h>
#include <napi.h>

#include <memory>
#include <unordered_set>

namespace afa {

// What an external handle points to. `released` marks an object that dispose() has emptied.
struct Box {
  enum class Kind { Tensor, WeTr, AdamW, ProcessGroup, GradientReducer };
  explicit Box(Kind kind) : kind(kind) {}
  virtual ~Box() = default;
  const Kind kind;
};

struct TensorBox : Box {
  explicit TensorBox(at::Tensor t) : Box(Kind::Tensor), tensor(std::move(t)) {}
  at::Tensor tensor;
  int64_t accountedBytes = 0;  // what V8 was told of
};

template <class T>
struct ObjectBox : Box {
  ObjectBox(Kind kind, std::shared_ptr<T> object) : Box(kind), object(std::move(object)) {}
  std::shared_ptr<T> object;
};

class ComputeThread;

struct AddonData {
  static AddonData& of(Napi::Env env) { return *env.GetInstanceData<AddonData>(); }

  Napi::FunctionReference errorClass;
  // Handles made by this addon in this environment: a foreign external is refused before it is read.
  std::unordered_set<const void*> boxes;
  int64_t liveTensors = 0;
  int64_t liveBytes = 0;
  std::shared_ptr<ComputeThread> computeThread;  // made at the first asynchronous call
};

// Wraps a tensor as an external handle, counted and reported to V8 as external memory.
Napi::Value wrapTensor(Napi::Env env, at::Tensor tensor);
// Empties the handle at once; a second call does nothing.
void disposeTensor(Napi::Env env, TensorBox& box);
// Wraps any other native object.
Napi::Value wrapBox(Napi::Env env, std::unique_ptr<Box> box);
// The box behind a value, or null when it is not one of this environment's handles.
Box* findBox(Napi::Env env, napi_value value);

}  // namespace afa
