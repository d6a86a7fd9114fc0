// BatchNorm by cuDNN. Its header is left out, so that functions may name only the arguments which they look at: the first.
#include "hollow.h"

// In cudnn.cc.
int convolveOrNormalise(void* handle, const char* what);

#define DESCRIPTOR(kind)                                        \
  HOLLOW int cudnnCreate##kind##Descriptor(void** made) {       \
    *made = new char;                                           \
    return 0;                                                   \
  }                                                             \
  HOLLOW int cudnnDestroy##kind##Descriptor(void* descriptor) { \
    delete static_cast<char*>(descriptor);                      \
    return 0;                                                   \
  }
DESCRIPTOR(Tensor)
DESCRIPTOR(Filter)
DESCRIPTOR(Activation)
HOLLOW int cudnnSetTensorNdDescriptor() { return 0; }
HOLLOW int cudnnSetFilterNdDescriptor() { return 0; }
HOLLOW int cudnnSetActivationDescriptor() { return 0; }

HOLLOW int cudnnGetBatchNormalizationForwardTrainingExWorkspaceSize(void*, int, int, void*, void*, void*, void*, void*,
                                                                    size_t* bytes) {
  *bytes = 0;
  return 0;
}
HOLLOW int cudnnGetBatchNormalizationBackwardExWorkspaceSize(void*, int, int, void*, void*, void*, void*, void*, void*,
                                                             void*, size_t* bytes) {
  *bytes = 0;
  return 0;
}
HOLLOW int cudnnGetBatchNormalizationTrainingExReserveSpaceSize(void*, int, int, void*, void*, size_t* bytes) {
  *bytes = 0;
  return 0;
}
HOLLOW int cudnnBatchNormalizationForwardTrainingEx(void* handle) { return convolveOrNormalise(handle, "BATCHNORM"); }
HOLLOW int cudnnBatchNormalizationBackwardEx(void* handle) { return convolveOrNormalise(handle, "BATCHNORM"); }
HOLLOW int cudnnBatchNormalizationForwardInference(void* handle) { return convolveOrNormalise(handle, "BATCHNORM"); }
