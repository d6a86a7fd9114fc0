#include "addon_data.h"

namespace afa {

namespace {

// Small tensors are not worth the call; V8 only has to know of what fills memory.
constexpr int64_t kReportFrom = 4096;

void release(Napi::BasicEnv env, AddonData& data, TensorBox& box) {
  if (!box.tensor.defined()) return;
  box.tensor = at::Tensor();
  --data.liveTensors;
  if (box.accountedBytes) {
    data.liveBytes -= box.accountedBytes;
    Napi::MemoryManagement::AdjustExternalMemory(env, -box.accountedBytes);
    box.accountedBytes = 0;
  }
}

void finalize(napi_env env, void* pointer, void*) {
  std::unique_ptr<Box> box(static_cast<Box*>(pointer));
  AddonData* data = nullptr;
  if (napi_get_instance_data(env, reinterpret_cast<void**>(&data)) != napi_ok || !data) return;
  data->boxes.erase(pointer);
  if (box->kind == Box::Kind::Tensor) release(env, *data, static_cast<TensorBox&>(*box));
}

}  // namespace

Napi::Value wrapBox(Napi::Env env, std::unique_ptr<Box> box) {
  napi_value value;
  if (napi_create_external(env, box.get(), finalize, nullptr, &value) != napi_ok)
    throw Napi::Error::New(env, "could not create a handle");
  AddonData::of(env).boxes.insert(box.get());
  box.release();
  return Napi::Value(env, value);
}

Napi::Value wrapTensor(Napi::Env env, at::Tensor tensor) {
  auto& data = AddonData::of(env);
  auto box = std::make_unique<TensorBox>(std::move(tensor));
  // Views report their own extent: the sum over views may exceed the storage, which only errs to the safe side.
  const int64_t bytes = box->tensor.has_storage() ? static_cast<int64_t>(box->tensor.nbytes()) : 0;
  if (bytes >= kReportFrom) {
    box->accountedBytes = bytes;
    data.liveBytes += bytes;
    Napi::MemoryManagement::AdjustExternalMemory(env, bytes);
  }
  ++data.liveTensors;
  return wrapBox(env, std::move(box));
}

void disposeTensor(Napi::Env env, TensorBox& box) { release(env, AddonData::of(env), box); }

Box* findBox(Napi::Env env, napi_value value) {
  napi_valuetype type;
  if (napi_typeof(env, value, &type) != napi_ok || type != napi_external) return nullptr;
  void* pointer = nullptr;
  napi_get_value_external(env, value, &pointer);
  return AddonData::of(env).boxes.contains(pointer) ? static_cast<Box*>(pointer) : nullptr;
}

}  // namespace afa
