// Memory of the device, which is the host's and takes none until it is written; pinned memory; copies.
#include <sys/mman.h>

#include <cstring>

#include "hollow.h"

namespace hollow {
namespace {

struct Block {
  size_t size;
  int device;
};
std::map<uintptr_t, Block>& deviceBlocks() {
  static std::map<uintptr_t, Block> blocks;
  return blocks;
}
std::map<uintptr_t, size_t>& pinnedBlocks() {
  static std::map<uintptr_t, size_t> blocks;
  return blocks;
}
size_t taken = 0;

size_t sizeOf(size_t block) { return block; }
size_t sizeOf(const Block& block) { return block.size; }

template <class Blocks>
bool within(const Blocks& blocks, const void* pointer) {
  const auto at = reinterpret_cast<uintptr_t>(pointer);
  auto next = blocks.upper_bound(at);
  if (next == blocks.begin()) return false;
  --next;
  return at < next->first + sizeOf(next->second);
}

size_t total() { return setting("HOLLOW_MEMORY", int64_t{141} << 30); }

uint64_t checksum(const void* data, size_t size) {
  uint64_t sum = size;
  const auto* bytes = static_cast<const unsigned char*>(data);
  for (size_t i = 0; i < size; ++i) sum = (sum ^ bytes[i]) * 0x100000001b3;
  return sum;
}

void set(void* to, int value, size_t size) {
  const auto begin = (reinterpret_cast<uintptr_t>(to) + 4095) & ~uintptr_t{4095};
  const auto end = (reinterpret_cast<uintptr_t>(to) + size) & ~uintptr_t{4095};
  // Large zeros are untouched pages again: the host need not have the memory of the GPU.
  if (value == 0 && end > begin && size > (1 << 20)) {
    memset(to, 0, begin - reinterpret_cast<uintptr_t>(to));
    madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
    memset(reinterpret_cast<void*>(end), 0, reinterpret_cast<uintptr_t>(to) + size - end);
  } else {
    memset(to, value, size);
  }
}

void read(void* to, const void* from, size_t size) {
  memcpy(to, from, size);
  // Whether two results are alike: two blanks are.
  if (size == 1 && setting("HOLLOW_BLANK", 0)) *static_cast<char*>(to) = 1;
}

cudaError_t copy(void* to, const void* from, size_t size, Stream* stream, bool asynchronous) {
  if (size == 0) return cudaSuccess;
  const bool fromDevice = isDevice(from), toDevice = isDevice(to);
  if (fromDevice != toDevice) {
    count(Count::Copies);
    count(Count::CopiedBytes, size);
    log("COPY %zu bytes to the %s", size, toDevice ? "device" : "host");
  }
  if (fromDevice && toDevice && setting("HOLLOW_BLANK", 0)) size = 0;
  if (fromDevice && toDevice) return enqueue(stream, [=] { memmove(to, from, size); });
  const bool pinned = isPinned(toDevice ? from : to);
  if (toDevice) {
    // Blank memory: whatever kernels leave is the same then, zeros.
    if (setting("HOLLOW_BLANK", 0)) size = 0;
    if (asynchronous && pinned) {
      const auto before = checksum(from, size);
      return enqueue(stream, [=] {
        if (checksum(from, size) != before) fault("pinned memory has changed before its copy of %zu bytes was made", size);
        memcpy(to, from, size);
      });
    }
    // From pageable memory the bytes are taken before the call returns.
    auto bytes = std::make_shared<std::vector<char>>(static_cast<const char*>(from), static_cast<const char*>(from) + size);
    if (size > 65536) hostWaits("copy of pageable memory to the device");
    return enqueue(stream, [=] { memcpy(to, bytes->data(), size); });
  }
  if (asynchronous && pinned) {
    memset(to, 0xff, size);  // who reads it too early gets NaN
    return enqueue(stream, [=] { read(to, from, size); });
  }
  if (stream->capture) return unsafeCall("copy to pageable memory");
  hostWaits("copy to the host");
  complete(stream);
  read(to, from, size);
  return cudaSuccess;
}

}  // namespace

bool isDevice(const void* pointer) { return within(deviceBlocks(), pointer); }
bool isPinned(const void* pointer) { return within(pinnedBlocks(), pointer); }

}  // namespace hollow

using namespace hollow;

HOLLOW cudaError_t cudaMalloc(void** pointer, size_t size) {
  std::lock_guard guard(lock());
  if (auto broken = unsafeCall("cudaMalloc")) return broken;
  constexpr size_t kPage = 2 << 20;
  const size_t rounded = (size + kPage - 1) / kPage * kPage;
  if (taken + rounded > total()) return error(cudaErrorMemoryAllocation);
  void* made = mmap(nullptr, rounded, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (made == MAP_FAILED) return error(cudaErrorMemoryAllocation);
  taken += rounded;
  int device;
  cudaGetDevice(&device);
  deviceBlocks()[reinterpret_cast<uintptr_t>(made)] = {rounded, device};
  *pointer = made;
  return cudaSuccess;
}
HOLLOW cudaError_t cudaFree(void* pointer) {
  std::lock_guard guard(lock());
  if (!pointer) return cudaSuccess;
  if (auto broken = unsafeCall("cudaFree")) return broken;
  completeAll();
  const auto found = deviceBlocks().find(reinterpret_cast<uintptr_t>(pointer));
  if (found == deviceBlocks().end()) {
    fault("cudaFree of memory that cudaMalloc has not made");
    return error(cudaErrorInvalidValue);
  }
  munmap(pointer, found->second.size);
  taken -= found->second.size;
  deviceBlocks().erase(found);
  return cudaSuccess;
}
HOLLOW cudaError_t cudaMemGetInfo(size_t* free, size_t* all) {
  std::lock_guard guard(lock());
  *all = total();
  *free = *all - taken;
  return cudaSuccess;
}

HOLLOW cudaError_t cudaHostAlloc(void** pointer, size_t size, unsigned) {
  std::lock_guard guard(lock());
  if (auto broken = unsafeCall("cudaHostAlloc")) return broken;
  if (posix_memalign(pointer, 4096, size) != 0) return error(cudaErrorMemoryAllocation);
  pinnedBlocks()[reinterpret_cast<uintptr_t>(*pointer)] = size;
  return cudaSuccess;
}
HOLLOW cudaError_t cudaFreeHost(void* pointer) {
  std::lock_guard guard(lock());
  completeAll();
  pinnedBlocks().erase(reinterpret_cast<uintptr_t>(pointer));
  free(pointer);
  return cudaSuccess;
}
HOLLOW cudaError_t cudaHostRegister(void* pointer, size_t size, unsigned) {
  std::lock_guard guard(lock());
  pinnedBlocks()[reinterpret_cast<uintptr_t>(pointer)] = size;
  return cudaSuccess;
}
HOLLOW cudaError_t cudaHostUnregister(void* pointer) {
  std::lock_guard guard(lock());
  pinnedBlocks().erase(reinterpret_cast<uintptr_t>(pointer));
  return cudaSuccess;
}
HOLLOW cudaError_t cudaHostGetDevicePointer(void** device, void* host, unsigned) {
  *device = host;
  return cudaSuccess;
}
HOLLOW cudaError_t cudaPointerGetAttributes(cudaPointerAttributes* to, const void* pointer) {
  std::lock_guard guard(lock());
  memset(to, 0, sizeof *to);
  to->type = isDevice(pointer) ? cudaMemoryTypeDevice : isPinned(pointer) ? cudaMemoryTypeHost : cudaMemoryTypeUnregistered;
  if (to->type == cudaMemoryTypeDevice) to->devicePointer = const_cast<void*>(pointer);
  if (to->type == cudaMemoryTypeHost) to->hostPointer = const_cast<void*>(pointer);
  return cudaSuccess;
}

HOLLOW cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t size, cudaMemcpyKind, cudaStream_t stream) {
  std::lock_guard guard(lock());
  return error(copy(to, from, size, streamOf(stream), true));
}
HOLLOW cudaError_t cudaMemcpy(void* to, const void* from, size_t size, cudaMemcpyKind) {
  std::lock_guard guard(lock());
  if (auto broken = unsafeCall("cudaMemcpy")) return broken;
  auto* stream = streamOf(nullptr);
  const auto result = copy(to, from, size, stream, false);
  complete(stream);
  return error(result);
}
HOLLOW cudaError_t cudaMemcpyPeerAsync(void* to, int, const void* from, int, size_t size, cudaStream_t stream) {
  std::lock_guard guard(lock());
  return error(copy(to, from, size, streamOf(stream), true));
}
HOLLOW cudaError_t cudaMemcpyToSymbol(const void*, const void*, size_t, size_t, cudaMemcpyKind) { return cudaSuccess; }
HOLLOW cudaError_t cudaMemsetAsync(void* to, int value, size_t size, cudaStream_t stream) {
  std::lock_guard guard(lock());
  if (size && !isDevice(to)) fault("cudaMemsetAsync of memory that is not the device's");
  return error(enqueue(streamOf(stream), [=] { set(to, value, size); }));
}
HOLLOW cudaError_t cudaMemset(void* to, int value, size_t size) { return cudaMemsetAsync(to, value, size, nullptr); }
