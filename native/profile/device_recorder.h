// What a GPU computes, kernel by kernel: libtorch's Kineto, which asks NVIDIA's CUPTI. The host's record (op_recorder.h)
// knows of a GPU only when work was queued.
#pragma once
#include "binding.h"

namespace afa {

void registerDeviceRecorder(Exports& m);

}  // namespace afa
