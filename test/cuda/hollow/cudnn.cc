// Convolutions: cuDNN's graph interface with one engine that fits everything and needs no workspace.
#include <cudnn.h>

#include <cstring>

#include "hollow.h"

namespace {
struct Handle {
  cudaStream_t stream = nullptr;
};
}  // namespace

using namespace hollow;

int convolveOrNormalise(void* handle, const char* what) {
  std::lock_guard guard(lock());
  auto* stream = streamOf(static_cast<Handle*>(handle)->stream);
  log("%s %d", what, stream->id);
  return enqueueForeign(stream) ? CUDNN_STATUS_SUCCESS : CUDNN_STATUS_EXECUTION_FAILED;
}

HOLLOW size_t cudnnGetVersion() { return CUDNN_VERSION; }
HOLLOW size_t cudnnGetCudartVersion() { return CUDART_VERSION; }
HOLLOW const char* cudnnGetErrorString(cudnnStatus_t) { return "an error of the hollow GPU's cuDNN"; }
HOLLOW void cudnnGetLastErrorString(char* to, size_t size) {
  if (size) *to = 0;
}
HOLLOW cudnnStatus_t cudnnCreate(cudnnHandle_t* handle) {
  *handle = reinterpret_cast<cudnnHandle_t>(new Handle);
  return CUDNN_STATUS_SUCCESS;
}
HOLLOW cudnnStatus_t cudnnDestroy(cudnnHandle_t handle) {
  delete reinterpret_cast<Handle*>(handle);
  return CUDNN_STATUS_SUCCESS;
}
HOLLOW cudnnStatus_t cudnnSetStream(cudnnHandle_t handle, cudaStream_t stream) {
  reinterpret_cast<Handle*>(handle)->stream = stream;
  return CUDNN_STATUS_SUCCESS;
}
HOLLOW cudnnStatus_t cudnnGetStream(cudnnHandle_t handle, cudaStream_t* stream) {
  *stream = reinterpret_cast<Handle*>(handle)->stream;
  return CUDNN_STATUS_SUCCESS;
}

HOLLOW cudnnStatus_t cudnnBackendCreateDescriptor(cudnnBackendDescriptorType_t, cudnnBackendDescriptor_t* made) {
  *made = reinterpret_cast<cudnnBackendDescriptor_t>(new char);
  return CUDNN_STATUS_SUCCESS;
}
HOLLOW cudnnStatus_t cudnnBackendDestroyDescriptor(cudnnBackendDescriptor_t) { return CUDNN_STATUS_SUCCESS; }
HOLLOW cudnnStatus_t cudnnBackendInitialize(cudnnBackendDescriptor_t) { return CUDNN_STATUS_SUCCESS; }
HOLLOW cudnnStatus_t cudnnBackendFinalize(cudnnBackendDescriptor_t) { return CUDNN_STATUS_SUCCESS; }
HOLLOW cudnnStatus_t cudnnBackendSetAttribute(cudnnBackendDescriptor_t, cudnnBackendAttributeName_t,
                                              cudnnBackendAttributeType_t, int64_t, const void*) {
  return CUDNN_STATUS_SUCCESS;
}
HOLLOW cudnnStatus_t cudnnBackendGetAttribute(cudnnBackendDescriptor_t, cudnnBackendAttributeName_t attribute,
                                              cudnnBackendAttributeType_t type, int64_t asked, int64_t* n, void* values) {
  switch (attribute) {
    case CUDNN_ATTR_ENGINE_KNOB_INFO:
    case CUDNN_ATTR_ENGINE_NUMERICAL_NOTE:
    case CUDNN_ATTR_ENGINE_BEHAVIOR_NOTE:
    case CUDNN_ATTR_ENGINECFG_KNOB_CHOICES:
    case CUDNN_ATTR_ENGINECFG_INTERMEDIATE_INFO:
      if (n) *n = 0;
      return CUDNN_STATUS_SUCCESS;
    default:
      if (n) *n = 1;
  }
  // Descriptors are the caller's own, already made.
  if (values && asked > 0 && type != CUDNN_TYPE_BACKEND_DESCRIPTOR) memset(values, 0, type == CUDNN_TYPE_INT64 ? 8 : 4);
  return CUDNN_STATUS_SUCCESS;
}
HOLLOW cudnnStatus_t cudnnBackendExecute(cudnnHandle_t handle, cudnnBackendDescriptor_t, cudnnBackendDescriptor_t) {
  return static_cast<cudnnStatus_t>(convolveOrNormalise(handle, "CONVOLUTION"));
}
