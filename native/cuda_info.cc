#include "cuda_info.h"

#include <ATen/Context.h>
#include <ATen/detail/CUDAHooksInterface.h>

#include <sstream>
#include <string>

#ifdef AFA_CUDA_RUNTIME
#include <cuda_runtime_api.h>
#endif
#ifdef USE_C10D_NCCL
#include <torch/csrc/distributed/c10d/NCCLUtils.hpp>
#endif

namespace afa {

namespace {

// CUDA's form of a release: 13000 is 13.0.
std::string release(int version) { return std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10); }

// "90" is compute capability 9.0, "120" 12.0; what follows (an a, +PTX) stays.
std::string capability(const std::string& number) {
  auto digits = number.find_first_not_of("0123456789");
  if (digits == std::string::npos) digits = number.size();
  return number.substr(0, digits - 1) + "." + number.substr(digits - 1);
}

// What native/cuda.cmake says of the library and of native/**/*.cu: "75 90 120+PTX". The library's own words for it,
// at::show_config(), ask the driver first and throw where there is none.
Napi::Array capabilities(Napi::Env env, const char* numbers) {
  auto list = Napi::Array::New(env);
  std::istringstream words(numbers);
  for (std::string word; words >> word;) list.Set(list.Length(), capability(word));
  return list;
}

#ifndef LIBRARY_ARCHITECTURES  // CUDA's headers were missing, and nobody looked
#define LIBRARY_ARCHITECTURES ""
#endif
#ifndef KERNEL_ARCHITECTURES  // left out
#define KERNEL_ARCHITECTURES ""
#endif

}  // namespace

Napi::Value cudaBuild(Napi::Env env) {
  if (!at::Context::hasCUDART()) return env.Null();
  auto out = Napi::Object::New(env);
  out.Set("version", release(static_cast<int>(at::detail::getCUDAHooks().versionCUDART())));
  out.Set("libraryArchitectures", capabilities(env, LIBRARY_ARCHITECTURES));
  out.Set("kernelArchitectures", capabilities(env, KERNEL_ARCHITECTURES));
#ifdef USE_C10D_NCCL
  out.Set("nccl", c10d::getNcclVersion());
#else
  out.Set("nccl", env.Null());
#endif
  return out;
}

Napi::Value cudaStatus(Napi::Env env) {
#ifdef AFA_CUDA_RUNTIME
  auto out = Napi::Object::New(env);
  int driver = 0;  // stays 0 where there is none
  cudaDriverGetVersion(&driver);
  out.Set("driver", driver > 0 ? Napi::Value(Napi::String::New(env, release(driver))) : env.Null());
  int count = 0;
  const auto error = cudaGetDeviceCount(&count);
  if (error != cudaSuccess) {
    cudaGetLastError();  // takes the error back: libtorch would find it after its own next call
    count = 0;
    auto fault = Napi::Object::New(env);
    fault.Set("code", cudaGetErrorName(error));
    fault.Set("message", cudaGetErrorString(error));
    out.Set("error", fault);
  } else {
    out.Set("error", env.Null());
  }
  auto devices = Napi::Array::New(env);
  for (int index = 0; index < count; ++index) {
    cudaDeviceProp properties;
    if (cudaGetDeviceProperties(&properties, index) != cudaSuccess) continue;
    auto device = Napi::Object::New(env);
    device.Set("name", properties.name);
    device.Set("computeCapability", std::to_string(properties.major) + "." + std::to_string(properties.minor));
    device.Set("memoryBytes", static_cast<double>(properties.totalGlobalMem));
    devices.Set(devices.Length(), device);
  }
  out.Set("devices", devices);
  return out;
#else
  return env.Null();
#endif
}

}  // namespace afa
