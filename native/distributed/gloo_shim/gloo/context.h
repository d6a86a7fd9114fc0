// PyTorch's wheels ship c10d's ProcessGroupGloo.hpp without the gloo headers that it includes. c10d holds gloo's
// objects through pointers only, so their names suffice here: libtorch alone makes and uses them. Each class is abstract:
// should a header ever hold one by value, whose size is not known here, it will not compile.
// Where a libtorch does bring gloo's own headers, those are found first.
#pragma once
#include <chrono>

namespace gloo {

class Context {
 public:
  void setTimeout(std::chrono::milliseconds timeout);
  virtual void onlyDeclared() = 0;
};

namespace transport {

class Device;

class UnboundBuffer {
 public:
  virtual ~UnboundBuffer() = 0;
};

}  // namespace transport
}  // namespace gloo
