#pragma once
#include "binding.h"

namespace afa {

// Once per process: allocator settings, before the first large tensor.
void tuneProcess();
void registerSystem(Exports& m);

}  // namespace afa
