// Devices, versions, errors.
#include <execinfo.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdarg>
#include <cstdio>
#include <cstring>

#include "hollow.h"

namespace hollow {
namespace {

int64_t* counters() {
  static int64_t* const found = [] {
    static int64_t own[static_cast<int>(Count::kCount)] = {};
    const char* file = getenv("HOLLOW_COUNTERS");
    const size_t size = sizeof own;
    const int handle = file ? open(file, O_RDWR | O_CREAT, 0600) : -1;
    if (handle < 0 || ftruncate(handle, size) != 0) return own;
    void* shared = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, handle, 0);
    close(handle);
    return shared == MAP_FAILED ? own : static_cast<int64_t*>(shared);
  }();
  return found;
}

int logFile() {
  static const int file = [] {
    const char* name = getenv("HOLLOW_LOG");
    return name ? open(name, O_WRONLY | O_CREAT | O_APPEND, 0600) : -1;
  }();
  return file;
}

void write(const char* prefix, const char* format, va_list values) {
  if (logFile() < 0) return;
  char line[2000];
  int length = snprintf(line, sizeof line, "%s", prefix);
  length += vsnprintf(line + length, sizeof line - length - 1, format, values);
  length = std::min(length, static_cast<int>(sizeof line) - 2);
  line[length++] = '\n';
  (void)!::write(logFile(), line, length);
}

void trace() {
  if (!setting("HOLLOW_TRACE", 0) || logFile() < 0) return;
  void* frames[40];
  backtrace_symbols_fd(frames, backtrace(frames, 40), logFile());
}

thread_local int device = 0;
thread_local cudaError_t last = cudaSuccess;

int devices() { return static_cast<int>(setting("HOLLOW_GPUS", 1)); }

}  // namespace

void count(Count what, int64_t by) { __atomic_add_fetch(&counters()[static_cast<int>(what)], by, __ATOMIC_RELAXED); }

int64_t setting(const char* name, int64_t otherwise) {
  const char* value = getenv(name);
  return value ? atoll(value) : otherwise;
}

void log(const char* format, ...) {
  va_list values;
  va_start(values, format);
  write("", format, values);
  va_end(values);
}

void fault(const char* format, ...) {
  count(Count::Faults);
  va_list values;
  va_start(values, format);
  write("FAULT ", format, values);
  va_end(values);
  trace();
}

void hostWaits(const char* call) {
  count(Count::Waits);
  log("WAIT %s", call);
  trace();
}

std::recursive_mutex& lock() {
  static std::recursive_mutex mutex;
  return mutex;
}

cudaError_t error(cudaError_t code) {
  if (code != cudaSuccess && code != cudaErrorNotReady) last = code;
  return code;
}

}  // namespace hollow

using namespace hollow;

HOLLOW cudaError_t cudaGetDeviceCount(int* n) {
  *n = devices();
  return *n > 0 ? cudaSuccess : error(cudaErrorNoDevice);
}
HOLLOW cudaError_t cudaGetDevice(int* at) {
  *at = device;
  return cudaSuccess;
}
HOLLOW cudaError_t cudaSetDevice(int to) {
  if (to < 0 || to >= devices()) return error(cudaErrorInvalidDevice);
  device = to;
  return cudaSuccess;
}
HOLLOW cudaError_t cudaDriverGetVersion(int* version) {
  *version = static_cast<int>(setting("HOLLOW_DRIVER", 13000));
  return cudaSuccess;
}
HOLLOW cudaError_t cudaRuntimeGetVersion(int* version) {
  *version = CUDART_VERSION;
  return cudaSuccess;
}

// An H200's.
HOLLOW cudaError_t cudaGetDeviceProperties(cudaDeviceProp* p, int at) {
  if (at < 0 || at >= devices()) return error(cudaErrorInvalidDevice);
  memset(p, 0, sizeof *p);
  snprintf(p->name, sizeof p->name, "NVIDIA Hollow");
  const int capability = static_cast<int>(setting("HOLLOW_CAPABILITY", 90));
  p->major = capability / 10;
  p->minor = capability % 10;
  p->totalGlobalMem = setting("HOLLOW_MEMORY", int64_t{141} << 30);
  p->multiProcessorCount = 132;
  p->sharedMemPerBlock = 49152;
  p->sharedMemPerBlockOptin = 232448;
  p->sharedMemPerMultiprocessor = 233472;
  p->regsPerBlock = p->regsPerMultiprocessor = 65536;
  p->warpSize = 32;
  p->maxThreadsPerBlock = 1024;
  p->maxThreadsPerMultiProcessor = 2048;
  p->maxBlocksPerMultiProcessor = 32;
  p->maxThreadsDim[0] = p->maxThreadsDim[1] = 1024;
  p->maxThreadsDim[2] = 64;
  p->maxGridSize[0] = 2147483647;
  p->maxGridSize[1] = p->maxGridSize[2] = 65535;
  p->totalConstMem = 65536;
  p->textureAlignment = 512;
  p->l2CacheSize = 60 << 20;
  p->memoryBusWidth = 6144;
  p->concurrentKernels = p->asyncEngineCount = p->unifiedAddressing = p->canMapHostMemory = 1;
  p->pciBusID = 1 + at;
  return cudaSuccess;
}

HOLLOW cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int at) {
  cudaDeviceProp p;
  if (auto fault = cudaGetDeviceProperties(&p, at)) return fault;
  switch (attribute) {
    case cudaDevAttrMaxThreadsPerBlock: *value = p.maxThreadsPerBlock; break;
    case cudaDevAttrMaxBlockDimX: *value = 1024; break;
    case cudaDevAttrMaxBlockDimY: *value = 1024; break;
    case cudaDevAttrMaxBlockDimZ: *value = 64; break;
    case cudaDevAttrMaxGridDimX: *value = p.maxGridSize[0]; break;
    case cudaDevAttrMaxGridDimY: *value = p.maxGridSize[1]; break;
    case cudaDevAttrMaxGridDimZ: *value = p.maxGridSize[2]; break;
    case cudaDevAttrMaxSharedMemoryPerBlock: *value = p.sharedMemPerBlock; break;
    case cudaDevAttrMaxSharedMemoryPerBlockOptin: *value = p.sharedMemPerBlockOptin; break;
    case cudaDevAttrMaxSharedMemoryPerMultiprocessor: *value = p.sharedMemPerMultiprocessor; break;
    case cudaDevAttrMultiProcessorCount: *value = p.multiProcessorCount; break;
    case cudaDevAttrMaxThreadsPerMultiProcessor: *value = p.maxThreadsPerMultiProcessor; break;
    case cudaDevAttrWarpSize: *value = p.warpSize; break;
    case cudaDevAttrComputeCapabilityMajor: *value = p.major; break;
    case cudaDevAttrComputeCapabilityMinor: *value = p.minor; break;
    case cudaDevAttrMaxRegistersPerBlock: *value = p.regsPerBlock; break;
    case cudaDevAttrL2CacheSize: *value = p.l2CacheSize; break;
    case cudaDevAttrClockRate: *value = 1980000; break;
    case cudaDevAttrMemoryClockRate: *value = 3201000; break;
    case cudaDevAttrGlobalMemoryBusWidth: *value = p.memoryBusWidth; break;
    default: *value = 0; log("NOTE attribute %d of a device is 0", attribute);
  }
  return cudaSuccess;
}
HOLLOW cudaError_t cudaDeviceGetPCIBusId(char* text, int length, int at) {
  snprintf(text, length, "0000:%02x:00.0", 1 + at);
  return cudaSuccess;
}
HOLLOW cudaError_t cudaDeviceCanAccessPeer(int* can, int, int) {
  *can = 0;
  return cudaSuccess;
}
HOLLOW cudaError_t cudaDeviceGetStreamPriorityRange(int* least, int* greatest) {
  *least = 0;
  *greatest = -5;
  return cudaSuccess;
}
HOLLOW cudaError_t cudaProfilerStart() { return cudaSuccess; }
HOLLOW cudaError_t cudaProfilerStop() { return cudaSuccess; }

HOLLOW cudaError_t cudaGetLastError() {
  const auto was = last;
  last = cudaSuccess;
  return was;
}
HOLLOW cudaError_t cudaPeekAtLastError() { return last; }
// CUDA's own words, as far as they matter here.
HOLLOW const char* cudaGetErrorString(cudaError_t code) {
  switch (code) {
    case cudaSuccess: return "no error";
    case cudaErrorMemoryAllocation: return "out of memory";
    case cudaErrorInvalidConfiguration: return "invalid configuration argument";
    case cudaErrorNoDevice: return "no CUDA-capable device is detected";
    case cudaErrorInsufficientDriver: return "CUDA driver version is insufficient for CUDA runtime version";
    case cudaErrorStreamCaptureUnsupported: return "operation not permitted when stream is capturing";
    case cudaErrorStreamCaptureInvalidated: return "operation failed due to a previous error during capture";
    case cudaErrorStreamCaptureUnjoined: return "capturing stream has unjoined work";
    case cudaErrorStreamCaptureIsolation: return "dependency created on uncaptured work in another stream";
    case cudaErrorCapturedEvent: return "operation not permitted on an event last recorded in a capturing stream";
    case cudaErrorNotReady: return "device not ready";
    case cudaErrorNotSupported: return "operation not supported";
    default: return "an error of the hollow GPU";
  }
}
HOLLOW const char* cudaGetErrorName(cudaError_t code) {
  static thread_local char name[40];
  snprintf(name, sizeof name, "cudaError %d", code);
  return name;
}

// libtorch asks for single functions of the driver: none is there.
HOLLOW cudaError_t cudaGetDriverEntryPointByVersion(const char* name, void** function, unsigned, unsigned long long,
                                                    cudaDriverEntryPointQueryResult* status) {
  log("NOTE the driver's %s is asked for", name);
  *function = nullptr;
  if (status) *status = cudaDriverEntryPointSymbolNotFound;
  return cudaSuccess;
}
