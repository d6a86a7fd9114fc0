// The groups of operations that addon.cc registers.
#pragma once
#include "binding.h"

namespace afa {

void registerCreation(Exports& m);
void registerPointwise(Exports& m);
void registerReduction(Exports& m);
void registerShape(Exports& m);
void registerLinear(Exports& m);
void registerImage(Exports& m);

}  // namespace afa
