#pragma once
#include "binding.h"
#include "distributed/process_group.h"
#include "distributed/reducer.h"

namespace afa {

template <>
struct BoxTraits<distributed::Group> {
  static constexpr auto kind = Box::Kind::ProcessGroup;
  static constexpr const char* name = "a process group";
};

template <>
struct BoxTraits<distributed::GradientReducer> {
  static constexpr auto kind = Box::Kind::GradientReducer;
  static constexpr const char* name = "a gradient reducer";
};

void registerDistributed(Exports& m);

}  // namespace afa
