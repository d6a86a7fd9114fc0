// A group of processes over c10d's backends: gloo always, NCCL beside it where tensors lie on CUDA devices.
#pragma once
#include <torch/csrc/distributed/c10d/ProcessGroup.hpp>

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "distributed/roll_call.h"

namespace afa::distributed {

// Who speaks in an error, by its rank in the world: "rank 1 of 4".
struct Speaker {
  int rank, size;
  std::shared_ptr<RollCall> rollCall = nullptr;  // where a lost peer can be named
  bool forAll = false;                           // speaks of calls that all ranks of the world make
};

bool backendAvailable(const std::string& backend);

class Group {
 public:
  // The world. Blocks until all ranks have come.
  static std::shared_ptr<Group> world(const std::string& backend, const StoreAddress& address, int rank, int size,
                                      std::chrono::milliseconds timeout);
  // A group of some ranks of this one, of which this process is one. Blocks until all of them have come.
  std::shared_ptr<Group> subgroup(const std::string& name, const std::vector<int>& members) const;

  // Call on the issuing thread: waits until what is under way has ended, at most for the time-out.
  void close();

  // The backend for tensors of this device. Throws ArgumentError when the group has none.
  c10::intrusive_ptr<c10d::Backend> backendFor(at::Device device, const std::string& op) const;
  c10::intrusive_ptr<c10d::ProcessGroup> c10dGroup() const;

  Speaker speaker() const { return {ranks[rank], worldSize, rollCall, rollCall && size == worldSize}; }

  std::string name;
  int rank, size;          // in this group
  std::vector<int> ranks;  // the members' ranks in the world
  int worldSize;
  std::string backend;
  std::chrono::milliseconds timeout;
  std::shared_ptr<RollCall> rollCall;  // the world's
  // JavaScript's thread only.
  bool destroyed = false;
  int subgroups = 0;

 private:
  Group() = default;
  void connect();

  c10::intrusive_ptr<c10d::Store> store_;
  std::string localAddress_;
  c10::intrusive_ptr<c10d::ProcessGroup> group_;
};

}  // namespace afa::distributed
