// Where CPU tensors of many megabytes live.
#pragma once
#include <cstddef>
#include <cstdint>

namespace afa {

// Once per process, before the first large tensor: large CPU tensors come from a pool of their own.
void installAllocator();

struct PoolUse {
  int64_t heldBytes;  // mapped, in use or idle
  int64_t idleBytes;  // kept for the next tensor
};
PoolUse poolUse();

// Gives idle memory back to the system.
void emptyPool();

}  // namespace afa
