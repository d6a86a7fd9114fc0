#pragma once
#include "binding.h"

namespace afa {

void registerOptim(Exports& m);

}  // namespace afa
