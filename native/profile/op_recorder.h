// What libtorch computes, operation by operation: its own RecordFunction callbacks, which its profilers use too.
#pragma once
#include "binding.h"

namespace afa {

void registerProfile(Exports& m);

}  // namespace afa
