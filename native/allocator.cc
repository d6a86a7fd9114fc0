#include "allocator.h"

#if defined(__linux__)
#include <c10/core/CPUAllocator.h>
#include <sys/mman.h>

#include <algorithm>
#include <list>
#include <mutex>
#include <unordered_map>

namespace afa {

namespace {

constexpr size_t kLarge = size_t{2} << 20;      // smaller ones stay on the C library's heap
constexpr size_t kHugePage = size_t{2} << 20;
constexpr size_t kGrain = size_t{64} << 10;     // sizes are rounded up to it
constexpr size_t kSlack = size_t{64} << 20;     // held beyond what was once in use together

size_t roundUp(size_t n, size_t step) { return (n + step - 1) / step * step; }

// A step makes and frees the same few sizes of activations over and over. Fresh pages for each cost half of a CAM pass
// in page faults; on the C library's heap they are reused, but fragments held 350 MB that nobody used. Here a freed
// block waits for a tensor of about its size, on huge pages. All blocks together stay below what was once in use at one
// time, and a little: a new size takes the place of blocks that have waited longest.
class Pool {
 public:
  // Null when the system has no more.
  void* take(size_t bytes) {
    const size_t size = roundUp(bytes, kGrain);
    std::lock_guard lock(mutex_);
    auto best = idle_.end();
    for (auto block = idle_.begin(); block != idle_.end(); ++block)
      if (block->size >= size && block->size <= size + size / 8 && (best == idle_.end() || block->size < best->size))
        best = block;
    Block block;
    if (best != idle_.end()) {
      block = *best;
      idle_.erase(best);
      idleBytes_ -= block.size;
    } else {
      const size_t most = std::max(mostUsed_, heldBytes_ - idleBytes_ + size);
      while (!idle_.empty() && heldBytes_ + size > most + kSlack) unmapOldest();
      block = {map(size), size};
      if (!block.data) return nullptr;
      mostUsed_ = most;
      heldBytes_ += size;
    }
    used_.emplace(block.data, block.size);
    return block.data;
  }

  // False for memory that is not the pool's.
  bool give(void* data) {
    std::lock_guard lock(mutex_);
    const auto found = used_.find(data);
    if (found == used_.end()) return false;
    idle_.push_back({data, found->second});
    idleBytes_ += found->second;
    used_.erase(found);
    return true;
  }

  void empty() {
    std::lock_guard lock(mutex_);
    while (!idle_.empty()) unmapOldest();
    mostUsed_ = heldBytes_;
  }

  PoolUse use() {
    std::lock_guard lock(mutex_);
    return {static_cast<int64_t>(heldBytes_), static_cast<int64_t>(idleBytes_)};
  }

 private:
  struct Block {
    void* data;
    size_t size;
  };

  void* map(size_t size) {
    void* data = tryMap(size);
    if (!data && !idle_.empty()) {
      while (!idle_.empty()) unmapOldest();
      data = tryMap(size);
    }
    return data;
  }

  // Aligned to huge pages, so that the kernel can use them.
  static void* tryMap(size_t size) {
    void* raw = mmap(nullptr, size + kHugePage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (raw == MAP_FAILED) return nullptr;
    const auto begin = reinterpret_cast<uintptr_t>(raw), aligned = roundUp(begin, kHugePage);
    if (aligned > begin) munmap(raw, aligned - begin);
    munmap(reinterpret_cast<void*>(aligned + size), begin + kHugePage - aligned);
    void* data = reinterpret_cast<void*>(aligned);
    madvise(data, size, MADV_HUGEPAGE);  // advice: without huge pages all works, with more page faults
    return data;
  }

  void unmapOldest() {
    const auto block = idle_.front();
    idle_.pop_front();
    idleBytes_ -= block.size;
    heldBytes_ -= block.size;
    munmap(block.data, block.size);
  }

  std::mutex mutex_;
  std::list<Block> idle_;  // the longest idle first
  std::unordered_map<void*, size_t> used_;
  size_t heldBytes_ = 0, idleBytes_ = 0, mostUsed_ = 0;
};

// Never destroyed: tensors may be freed while the process ends.
Pool& pool() {
  static auto* instance = new Pool;
  return *instance;
}

void release(void* data) {
  if (data && !pool().give(data)) c10::GetDefaultCPUAllocator()->raw_deallocate(data);
}

class LargeTensorAllocator final : public c10::Allocator {
 public:
  c10::DataPtr allocate(size_t bytes) override {
    void* data = bytes < kLarge ? nullptr : pool().take(bytes);
    // Also what the pool cannot get: libtorch then says so in its own words.
    if (!data) return c10::GetDefaultCPUAllocator()->allocate(bytes);
    return {data, data, &release, c10::Device(c10::DeviceType::CPU)};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &release; }
  void copy_data(void* to, const void* from, size_t count) const override { default_copy_data(to, from, count); }
};

}  // namespace

void installAllocator() {
  static LargeTensorAllocator allocator;
  c10::SetCPUAllocator(&allocator);
}

PoolUse poolUse() { return pool().use(); }
void emptyPool() { pool().empty(); }

}  // namespace afa

#else

namespace afa {

void installAllocator() {}
PoolUse poolUse() { return {0, 0}; }
void emptyPool() {}

}  // namespace afa

#endif
