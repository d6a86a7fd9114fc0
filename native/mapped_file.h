#pragma once
#include "binding.h"

namespace afa {

// Files as memory: mapFile(path) and unmapFile(buffer).
void registerMappedFile(Exports& m);

}  // namespace afa
