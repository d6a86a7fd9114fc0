#pragma once
#include "binding.h"

namespace afa {

void registerCam(Exports& m);

}  // namespace afa
