// What CUDA is here: of libtorch, of this addon, of the driver, and the GPUs. Words for it: scripts/lib/cuda-fault.mjs.
#pragma once
#include <napi.h>

namespace afa {

// {version, libraryArchitectures, kernelArchitectures, nccl}, or null where libtorch has no CUDA. Asks no device: CUDA
// reads CUDA_VISIBLE_DEVICES when it is first asked for one, and a launched process sets it before.
Napi::Value cudaBuild(Napi::Env env);

// {driver, error, devices: [{name, computeCapability, memoryBytes}]}, or null where the addon was built without CUDA's headers.
Napi::Value cudaStatus(Napi::Env env);

}  // namespace afa
