// The few functions of the driver that libtorch calls by itself.
#include <cuda.h>

#include "hollow.h"

HOLLOW CUresult cuDevicePrimaryCtxGetState(CUdevice, unsigned* flags, int* active) {
  *flags = 0;
  *active = 1;
  return CUDA_SUCCESS;
}
HOLLOW CUresult cuCtxGetCurrent(CUcontext* context) {
  *context = reinterpret_cast<CUcontext>(context);
  return CUDA_SUCCESS;
}
HOLLOW CUresult cuCtxSetCurrent(CUcontext) { return CUDA_SUCCESS; }
HOLLOW CUresult cuGetErrorString(CUresult, const char** text) {
  *text = "an error of the hollow GPU's driver";
  return CUDA_SUCCESS;
}
