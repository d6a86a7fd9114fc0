// Process groups and the gradient reducer as JavaScript sees them; documented in src/distributed/.
#include "distributed/distributed_binding.h"

#include "distributed/collectives.h"
#include "distributed/pending.h"
#include "nn/wetr_binding.h"

namespace afa {

namespace {

using namespace distributed;

Napi::Value init(Napi::Env env, std::string backend, std::string host, int64_t port, bool isServer, std::string prefix,
                 int64_t rank, int64_t size, int64_t timeoutMs) {
  auto group = std::make_shared<GroupPtr>();
  const StoreAddress address{host, static_cast<int>(port), isServer, prefix};
  const Speaker speaker{static_cast<int>(rank), static_cast<int>(size)};
  return promise(
      env, "init", speaker,
      [=]() -> c10::intrusive_ptr<c10d::Work> {
        *group = Group::world(backend, address, speaker.rank, speaker.size, std::chrono::milliseconds(timeoutMs));
        return nullptr;
      },
      [group](Napi::Env env) { return toJs(env, *group); });
}

// Null on a rank that is no member; every rank of the parent asks, so that all count the same groups.
Napi::Value newGroup(Napi::Env env, GroupPtr parent, std::vector<int64_t> members) {
  checkUsable(*parent, "newGroup");
  const std::vector<int> ranks(members.begin(), members.end());
  const auto name = parent->name + "/" + std::to_string(parent->subgroups++);
  const bool isMember = std::find(ranks.begin(), ranks.end(), parent->rank) != ranks.end();
  auto group = std::make_shared<GroupPtr>();
  return promise(
      env, "newGroup", parent->speaker(),
      [=]() -> c10::intrusive_ptr<c10d::Work> {
        agree(*parent, c10::str("newGroup([", c10::Join(", ", ranks), "])"));
        if (isMember) *group = parent->subgroup(name, ranks);
        return nullptr;
      },
      [group](Napi::Env env) -> Napi::Value { return *group ? toJs(env, *group) : env.Null(); });
}

Napi::Value destroy(Napi::Env env, GroupPtr group) {
  group->destroyed = true;
  return promise(
      env, "destroyGroup", Speaker{group->speaker().rank, group->worldSize},
      [group]() -> c10::intrusive_ptr<c10d::Work> {
        group->close();
        return nullptr;
      },
      [](Napi::Env env) { return env.Undefined(); });
}

using ReducerPtr = std::shared_ptr<GradientReducer>;

ReducerPtr createReducer(GroupPtr group, std::vector<at::Tensor> parameters, std::vector<std::string> names,
                         int64_t bucketBytes, int64_t firstBucketBytes, bool half) {
  checkUsable(*group, "reducerCreate");
  return std::make_shared<GradientReducer>(group, std::move(parameters), names, bucketBytes, firstBucketBytes,
                                           half);
}

}  // namespace

void registerDistributed(Exports& m) {
  m.def("backendAvailable", {"backend"}, +[](std::string backend) { return backendAvailable(backend); });
  m.def("init", {"backend", "host", "port", "isServer", "prefix", "rank", "worldSize", "timeout"}, init);
  m.def("newGroup", {"group", "ranks"}, newGroup);
  m.def("destroyGroup", {"group"}, destroy);
  m.def("groupRank", {"group"}, +[](GroupPtr group) { return static_cast<int64_t>(group->rank); });
  m.def("groupRanks", {"group"}, +[](GroupPtr group) {
    return std::vector<int64_t>(group->ranks.begin(), group->ranks.end());
  });
  m.def("groupAt", {"group", "place"}, +[](GroupPtr group, std::string place) {
    if (group->rollCall) group->rollCall->at(place);
  });
  m.def("groupFailed", {"group", "fault"}, +[](GroupPtr group, std::string fault) {
    if (group->rollCall) group->rollCall->tell(fault);
  });

  m.def("allReduce", {"group", "tensor", "reduction"}, allReduce);
  m.def("broadcast", {"group", "tensor", "source"}, broadcast);
  m.def("allGather", {"group", "tensor"}, allGather);
  m.def("reduceScatter", {"group", "tensor", "reduction"}, reduceScatter);
  m.def("barrier", {"group"}, barrier);
  m.def("monitoredBarrier", {"group", "timeout"}, monitoredBarrier);
  m.def("broadcastInto", {"group", "tensors"}, broadcastInto);
  m.def("sumNow", {"group", "tensor"}, +[](GroupPtr group, at::Tensor tensor) {
    return sumNow(*group, tensor, "sumNow");
  });

  m.def("requireSound", {"group"}, +[](GroupPtr group) { requireSound(*group); });
  m.def("reducerCreate", {"group", "parameters", "names", "bucketBytes", "firstBucketBytes", "half"},
        createReducer);
  m.def("reducerBackward", {"reducer", "loss"}, +[](ReducerPtr reducer, at::Tensor loss) { reducer->backward(loss); });
  m.def("reducerBucketCount", {"reducer"}, +[](ReducerPtr reducer) { return reducer->bucketCount(); });
  m.def("reducerDispose", {"reducer"}, +[](Napi::Value value) {
    auto* box = findBox(value.Env(), value);
    if (box && box->kind == Box::Kind::GradientReducer)
      static_cast<ObjectBox<GradientReducer>*>(box)->object.reset();
  });
  m.def("syncBatchNorm", {"model", "group"}, +[](std::shared_ptr<nn::WeTr> model, std::optional<GroupPtr> group) {
    model->syncBatchNorm(group.value_or(nullptr));
  });
}

}  // namespace afa
