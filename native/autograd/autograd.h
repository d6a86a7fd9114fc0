#pragma once
#include "binding.h"

namespace afa {

void registerAutograd(Exports& m);

}  // namespace afa
