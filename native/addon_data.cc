#include "addon_data.h"

namespace afa {

namespace {

// Small tensors are not worth the counting.
constexpr int64_t kCountFrom = 4096;
constexpr size_t kSpareHandles = 4096;  // a few hundred bytes each

void require(Napi::Env env, napi_status status) {
  if (status != napi_ok) throw Napi::Error::New(env, "could not create a handle");
}

void release(Napi::BasicEnv env, AddonData& data, TensorBox& box) {
  if (!box.tensor.defined()) return;
  box.tensor = at::Tensor();
  --data.liveTensors;
  data.liveBytes -= box.bytes;
  if (box.reported) Napi::MemoryManagement::AdjustExternalMemory(env, -box.bytes);
  box.bytes = 0;
  box.reported = false;
}

void finalize(napi_env env, void* pointer, void*) {
  std::unique_ptr<Box> box(static_cast<Box*>(pointer));
  AddonData* data = nullptr;
  if (napi_get_instance_data(env, reinterpret_cast<void**>(&data)) != napi_ok || !data) return;
  data->boxes.erase(pointer);
  if (box->kind != Box::Kind::Tensor) return;
  auto& tensor = static_cast<TensorBox&>(*box);
  release(env, *data, tensor);
  if (tensor.handle) napi_delete_reference(env, tensor.handle);
}

Napi::Value wrapNewBox(Napi::Env env, std::unique_ptr<TensorBox> box) {
  napi_value value;
  require(env, napi_create_external(env, box.get(), nullptr, nullptr, &value));
  require(env, napi_add_finalizer(env, value, box.get(), finalize, nullptr, &box->handle));
  AddonData::of(env).boxes.insert(box.release());
  return Napi::Value(env, value);
}

// The external of a spare box, now JavaScript's again.
Napi::Value takeSpare(Napi::Env env, AddonData& data) {
  auto* box = data.spare.back();
  napi_value value;
  require(env, napi_get_reference_value(env, box->handle, &value));
  require(env, napi_reference_unref(env, box->handle, nullptr));
  data.spare.pop_back();
  return Napi::Value(env, value);
}

}  // namespace

Napi::Value wrapBox(Napi::Env env, std::unique_ptr<Box> box) {
  napi_value value;
  require(env, napi_create_external(env, box.get(), finalize, nullptr, &value));
  AddonData::of(env).boxes.insert(box.get());
  box.release();
  return Napi::Value(env, value);
}

Napi::Value wrapNoTensor(Napi::Env env) { return wrapNewBox(env, std::make_unique<TensorBox>(at::Tensor())); }

Napi::Value wrapTensor(Napi::Env env, at::Tensor tensor) {
  auto& data = AddonData::of(env);
  TensorBox* box = nullptr;
  Napi::Value value;
  if (data.spare.empty()) {
    auto made = std::make_unique<TensorBox>(at::Tensor());
    box = made.get();
    value = wrapNewBox(env, std::move(made));
  } else {
    box = data.spare.back();
    value = takeSpare(env, data);
  }
  box->tensor = std::move(tensor);
  // Views report their own extent: the sum over views may exceed the storage, which only errs to the safe side.
  const int64_t bytes = box->tensor.has_storage() ? static_cast<int64_t>(box->tensor.nbytes()) : 0;
  if (bytes >= kCountFrom) {
    box->bytes = bytes;
    data.liveBytes += bytes;
    if (!data.scoped) reportMemory(env, *box);
  }
  ++data.liveTensors;
  return value;
}

void reportMemory(Napi::Env env, TensorBox& box) {
  if (box.reported || !box.bytes) return;
  box.reported = true;
  Napi::MemoryManagement::AdjustExternalMemory(env, box.bytes);
}

void disposeTensor(Napi::Env env, TensorBox& box) {
  if (!box.tensor.defined()) return;
  auto& data = AddonData::of(env);
  release(env, data, box);
  if (data.spare.size() >= kSpareHandles || napi_reference_ref(env, box.handle, nullptr) != napi_ok) return;
  data.spare.push_back(&box);
}

Box* findBox(Napi::Env env, napi_value value) {
  void* pointer = nullptr;
  if (napi_get_value_external(env, value, &pointer) != napi_ok) return nullptr;
  return AddonData::of(env).boxes.contains(pointer) ? static_cast<Box*>(pointer) : nullptr;
}

}  // namespace afa
