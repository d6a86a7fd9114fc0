// State of one JavaScript environment: the main thread and every worker thread have their own.
#pragma once
#include <ATen/ATen.h>
#include <napi.h>

#include <memory>
#include <unordered_set>
#include <vector>

namespace afa {

// What an external handle points to. `released` marks an object that dispose() has emptied.
struct Box {
  enum class Kind { Tensor, WeTr, AdamW, ProcessGroup, GradientReducer, Download, CudaGraph };
  explicit Box(Kind kind) : kind(kind) {}
  virtual ~Box() = default;
  const Kind kind;
};

struct TensorBox : Box {
  explicit TensorBox(at::Tensor t) : Box(Kind::Tensor), tensor(std::move(t)) {}
  at::Tensor tensor;
  int64_t bytes = 0;          // as counted in liveBytes
  bool reported = false;      // to V8
  napi_ref handle = nullptr;  // of the external: weak while JavaScript has it, strong while it is spare
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
  // Handles that dispose() emptied, for the next tensors: an external with its finalizer costs more than a small
  // operation, and a loop that lets no event loop turn would pile up thousands of dead ones.
  std::vector<TensorBox*> spare;
  int64_t liveTensors = 0;
  int64_t liveBytes = 0;
  // Whether new tensors are a scope's. V8 collects garbage for every 64 MB or so that it is told of, which a GPU would wait
  // for several times a step; and to no avail, since a scope holds its tensors until it frees them itself.
  bool scoped = false;
  // Times that values were read into JavaScript: each makes the host wait for a GPU, so a training step must not do it.
  int64_t hostReads = 0;
  std::shared_ptr<ComputeThread> computeThread;  // made at the first asynchronous call
};

// Wraps a tensor as an external handle, counted; outside of scopes also reported to V8.
Napi::Value wrapTensor(Napi::Env env, at::Tensor tensor);
// Tells V8 of a tensor that the garbage collector may have to free, as memory outside of its heap.
void reportMemory(Napi::Env env, TensorBox& box);
// A handle without a tensor, for JavaScript to hold in place of one that it disposed of.
Napi::Value wrapNoTensor(Napi::Env env);
// Empties the handle at once. It may come back as that of another tensor: the caller must forget it.
void disposeTensor(Napi::Env env, TensorBox& box);
// Wraps any other native object.
Napi::Value wrapBox(Napi::Env env, std::unique_ptr<Box> box);
// The box behind a value, or null when it is not one of this environment's handles.
Box* findBox(Napi::Env env, napi_value value);

}  // namespace afa
