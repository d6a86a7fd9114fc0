#include "distributed/process_group.h"

#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#ifdef USE_C10D_NCCL
#include <torch/csrc/distributed/c10d/ProcessGroupNCCL.hpp>
#endif

#include <algorithm>
#include <cstdlib>
#include <mutex>
#include <set>

#include "convert.h"

namespace afa::distributed {

namespace {

using BackendType = c10d::ProcessGroup::BackendType;

// What this file makes and libtorch reads must have the one layout, gloo's classes being known by name alone
// (gloo_shim/): after the base class a list of shared pointers and an int.
struct OptionsLayout : c10d::Backend::Options {
  std::vector<std::shared_ptr<void>> devices;
  int threads;
};
static_assert(sizeof(c10d::ProcessGroupGloo::Options) == sizeof(OptionsLayout),
              "ProcessGroupGloo::Options is not as gloo_shim/ takes it to be");

// Groups that are in use. Leaked: their destructors join threads, and static ones would do so while the process exits.
struct Registry {
  std::mutex mutex;
  std::set<std::shared_ptr<Group>> groups;
};
Registry& registry() {
  static auto& leaked = *new Registry();
  return leaked;
}

c10::intrusive_ptr<c10d::Backend> makeGloo(const c10::intrusive_ptr<c10d::Store>& store, int rank, int size,
                                           std::chrono::milliseconds timeout, const std::string& address) {
  auto options = c10d::ProcessGroupGloo::Options::create(timeout);
  // The variable by which people choose a network in PyTorch; without it, the one that leads to the store.
  const char* interface = std::getenv("GLOO_SOCKET_IFNAME");
  options->devices.push_back(interface && *interface
                                 ? c10d::ProcessGroupGloo::createDeviceForInterface(interface)
                                 : c10d::ProcessGroupGloo::createDeviceForHostname(address));
  return c10::make_intrusive<c10d::ProcessGroupGloo>(store, rank, size, options);
}

#ifdef USE_C10D_NCCL
c10::intrusive_ptr<c10d::Backend> makeNccl(const c10::intrusive_ptr<c10d::Store>& store, int rank, int size,
                                           std::chrono::milliseconds timeout) {
  auto options = c10d::ProcessGroupNCCL::Options::create();
  options->timeout = timeout;
  return c10::make_intrusive<c10d::ProcessGroupNCCL>(store, rank, size, options);
}
#endif

}  // namespace

bool backendAvailable(const std::string& backend) {
#ifdef USE_C10D_NCCL
  if (backend == "nccl") return deviceAvailable(at::Device(at::kCUDA));
#endif
  return backend == "gloo";
}

std::shared_ptr<Group> Group::world(const std::string& backend, const StoreAddress& address, int rank, int size,
                                    std::chrono::milliseconds timeout) {
  std::shared_ptr<Group> group(new Group());
  group->rank = rank;
  group->size = size;
  for (int r = 0; r < size; ++r) group->ranks.push_back(r);
  group->backend = backend;
  group->timeout = timeout;
  auto met = meet(address, rank, size, timeout);
  group->store_ = met.store;
  group->localAddress_ = met.localAddress;
  group->name = "world";
  group->worldSize = size;
  if (size > 1) group->rollCall = RollCall::start(met.store->clone(), std::move(met.peers), rank);
  group->connect();
  std::lock_guard lock(registry().mutex);
  registry().groups.insert(group);
  return group;
}

std::shared_ptr<Group> Group::subgroup(const std::string& name, const std::vector<int>& members) const {
  std::shared_ptr<Group> group(new Group());
  group->size = static_cast<int>(members.size());
  group->rank = static_cast<int>(std::find(members.begin(), members.end(), rank) - members.begin());
  for (int member : members) group->ranks.push_back(ranks[member]);
  group->backend = backend;
  group->timeout = timeout;
  group->store_ = store_;
  group->localAddress_ = localAddress_;
  group->rollCall = rollCall;
  group->name = name;
  group->worldSize = worldSize;
  group->connect();
  std::lock_guard lock(registry().mutex);
  registry().groups.insert(group);
  return group;
}

void Group::connect() {
  auto store = c10::make_intrusive<c10d::PrefixStore>(name, store_);
  group_ = c10::make_intrusive<c10d::ProcessGroup>(store, rank, size);
  auto gloo = makeGloo(c10::make_intrusive<c10d::PrefixStore>("gloo", store), rank, size, timeout, localAddress_);
  group_->setBackend(c10::DeviceType::CPU, BackendType::GLOO, gloo);
  group_->setDefaultBackend(BackendType::GLOO);
#ifdef USE_C10D_NCCL
  if (backend == "nccl") {
    auto nccl = makeNccl(c10::make_intrusive<c10d::PrefixStore>("nccl", store), rank, size, timeout);
    group_->setBackend(c10::DeviceType::CUDA, BackendType::NCCL, nccl);
    group_->setDefaultBackend(BackendType::NCCL);
  }
#endif
  group_->setGroupName(name);
}

void Group::close() {
  if (rollCall && name == "world") rollCall->stop();
  group_.reset();
  store_.reset();
  std::lock_guard lock(registry().mutex);
  for (auto it = registry().groups.begin(); it != registry().groups.end(); ++it)
    if (it->get() == this) {
      registry().groups.erase(it);
      return;
    }
}

c10::intrusive_ptr<c10d::ProcessGroup> Group::c10dGroup() const {
  TORCH_CHECK(group_, "the process group was destroyed");
  return group_;
}

c10::intrusive_ptr<c10d::Backend> Group::backendFor(at::Device device, const std::string& op) const {
  const bool served = device.is_cpu() || (device.is_cuda() && backend == "nccl");
  if (!served)
    invalidArgument("Expected a tensor on the cpu for " + op + "() of a " + backend + " group but received one on " +
                    device.str());
  return c10dGroup()->getBackend(device.type());
}

}  // namespace afa::distributed
