// Kernels: their names, and whether a GPU would have taken the launch.
#include <cxxabi.h>

#include <cstring>
#include <unordered_map>

#include "hollow.h"

namespace hollow {
namespace {

std::unordered_map<const void*, const char*>& names() {
  static std::unordered_map<const void*, const char*> all;
  return all;
}

struct Configuration {
  dim3 grid, block;
  size_t shared;
  cudaStream_t stream;
};
thread_local std::vector<Configuration> pushed;

cudaError_t launch(const void* function, dim3 grid, dim3 block, size_t shared, cudaStream_t at) {
  std::lock_guard guard(lock());
  const auto found = names().find(function);
  const char* name = found == names().end() ? "?" : found->second;
  const auto threads = static_cast<int64_t>(block.x) * block.y * block.z;
  if (!grid.x || !grid.y || !grid.z || !threads || threads > 1024 || block.z > 64 || grid.x > 2147483647U ||
      grid.y > 65535 || grid.z > 65535 || shared > 232448) {
    fault("%s cannot be launched with %u x %u x %u blocks of %u x %u x %u threads and %zu bytes", name, grid.x, grid.y,
          grid.z, block.x, block.y, block.z, shared);
    return error(cudaErrorInvalidConfiguration);
  }
  const bool own = strstr(name, "afa") != nullptr;
  auto* stream = streamOf(at);
  if (!stream->capture) {
    count(Count::Kernels);
    if (own) count(Count::OwnKernels);
  }
  log("KERNEL %d %s", stream->id, name);
  return error(enqueue(stream, [] {}, 1));
}

}  // namespace
}  // namespace hollow

using namespace hollow;

HOLLOW void** __cudaRegisterFatBinary(void*) {
  static void* handle;
  return &handle;
}
HOLLOW void __cudaRegisterFatBinaryEnd(void**) {}
HOLLOW void __cudaUnregisterFatBinary(void**) {}
HOLLOW void __cudaRegisterVar(void**, char*, char*, const char*, int, size_t, int, int) {}
HOLLOW void __cudaRegisterFunction(void**, const char* host, char*, const char* name, int, uint3*, uint3*, dim3*, dim3*,
                                   int*) {
  names()[host] = name;
}
HOLLOW unsigned __cudaPushCallConfiguration(dim3 grid, dim3 block, size_t shared, CUstream_st* stream) {
  pushed.push_back({grid, block, shared, stream});
  return 0;
}
HOLLOW cudaError_t __cudaPopCallConfiguration(dim3* grid, dim3* block, size_t* shared, void* stream) {
  const auto top = pushed.back();
  pushed.pop_back();
  *grid = top.grid;
  *block = top.block;
  *shared = top.shared;
  *static_cast<cudaStream_t*>(stream) = top.stream;
  return cudaSuccess;
}
HOLLOW cudaError_t __cudaGetKernel(cudaKernel_t* kernel, const void* function) {
  *kernel = reinterpret_cast<cudaKernel_t>(const_cast<void*>(function));
  return cudaSuccess;
}
HOLLOW cudaError_t __cudaLaunchKernel(cudaKernel_t kernel, dim3 grid, dim3 block, void**, size_t shared,
                                      cudaStream_t stream) {
  return launch(kernel, grid, block, shared, stream);
}
HOLLOW cudaError_t cudaLaunchKernel(const void* function, dim3 grid, dim3 block, void**, size_t shared,
                                    cudaStream_t stream) {
  return launch(function, grid, block, shared, stream);
}
HOLLOW cudaError_t cudaLaunchKernelExC(const cudaLaunchConfig_t* c, const void* function, void**) {
  return launch(function, c->gridDim, c->blockDim, c->dynamicSmemBytes, c->stream);
}

HOLLOW cudaError_t cudaFuncGetAttributes(cudaFuncAttributes* a, const void*) {
  memset(a, 0, sizeof *a);
  a->maxThreadsPerBlock = 1024;
  a->numRegs = 64;
  a->binaryVersion = a->ptxVersion = static_cast<int>(setting("HOLLOW_CAPABILITY", 90));
  a->maxDynamicSharedSizeBytes = 232448;
  return cudaSuccess;
}
HOLLOW cudaError_t cudaFuncSetAttribute(const void*, cudaFuncAttribute, int) { return cudaSuccess; }
HOLLOW cudaError_t cudaKernelSetAttributeForDevice(cudaKernel_t, cudaFuncAttribute, int, int) { return cudaSuccess; }
HOLLOW cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int* blocks, const void*, int threads, size_t,
                                                                          unsigned) {
  *blocks = threads > 0 ? 1024 / threads + 1 : 1;
  return cudaSuccess;
}
HOLLOW cudaError_t cudaGetSymbolAddress(void** address, const void*) {
  static char room[1 << 16];
  *address = room;
  return cudaSuccess;
}
