#pragma once
#include "binding.h"
#include "nn/wetr.h"

namespace afa {

template <>
struct BoxTraits<nn::WeTr> {
  static constexpr auto kind = Box::Kind::WeTr;
  static constexpr const char* name = "a WeTr model";
};

void registerWeTr(Exports& m);

}  // namespace afa
