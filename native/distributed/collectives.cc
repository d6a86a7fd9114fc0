#include "distributed/collectives.h"

#include <torch/csrc/distributed/c10d/comm.hpp>

#include <cstring>

#include "convert.h"
#include "distributed/pending.h"

namespace afa::distributed {

namespace {

// How many bytes of parameters one broadcast takes together, as PyTorch's DDP has it.
constexpr size_t kCoalescedBytes = 250 << 20;

struct Reduction {
  c10d::ReduceOp op;
  bool mean;
};

// gloo has no mean: it is the sum, divided afterwards.
Reduction reductionOf(const std::string& name, const at::Tensor& tensor, const std::string& op) {
  const auto dtype = tensor.scalar_type();
  if (dtype == at::kBool || dtype == at::kShort)
    invalidArgument("Expected a float, int64, int32, int8 or uint8 tensor for " + op + "() but received one of dtype " +
                    c10::toString(dtype) + "; convert it first");
  if (name == "sum") return {c10d::ReduceOp::SUM, false};
  if (name == "max") return {c10d::ReduceOp::MAX, false};
  if (name == "min") return {c10d::ReduceOp::MIN, false};
  if (name != "mean")
    invalidArgument("Expected 'sum', 'mean', 'max' or 'min' for argument 'reduction' of " + op + "() but received '" +
                    name + "'");
  if (!tensor.is_floating_point())
    invalidArgument("Expected a tensor of floats for the mean of " + op + "() but received one of dtype " +
                    c10::toString(dtype) + "; take the sum, or convert it first");
  return {c10d::ReduceOp::SUM, true};
}

// A copy of its own that c10d may write to.
at::Tensor ownCopy(const at::Tensor& tensor) {
  return tensor.detach().clone(at::MemoryFormat::Contiguous);
}

// Moving knows no dtype: c10d lacks some of ours, but every tensor is bytes.
at::Tensor asBytes(const at::Tensor& contiguous) { return contiguous.reshape({-1}).view(at::kByte); }

// CUDA work is enqueued, not finished, when its promise settles: later work of this device waits for it.
c10::intrusive_ptr<c10d::Work> ordered(c10::intrusive_ptr<c10d::Work> work, const at::Tensor& tensor) {
  if (tensor.is_cuda()) work->wait();
  return work;
}

std::string callOf(const char* op, const at::Tensor& tensor, const std::string& how = "") {
  return c10::str(op, "(", c10::toString(tensor.scalar_type()), " ", tensor.sizes(), how.empty() ? "" : ", ", how, ")");
}

// Calls travel as text of this length; what is longer is compared in full by its hash.
constexpr int64_t kCallBytes = 256;

Settle nothing() {
  return [](Napi::Env env) { return env.Undefined(); };
}

}  // namespace

void checkUsable(const Group& group, const char* op) {
  if (group.destroyed)
    throw ArgumentError("ERR_DISPOSED", std::string("The process group of ") + op + "() was already destroyed");
}

void agree(const Group& group, const std::string& call) {
  if (group.size == 1) return;
  auto own = at::zeros({kCallBytes}, at::kByte);
  const auto text = call.size() < kCallBytes
                        ? call
                        : call.substr(0, kCallBytes - 32) + "... #" + std::to_string(std::hash<std::string>{}(call));
  std::memcpy(own.data_ptr<uint8_t>(), text.data(), text.size());
  std::vector<std::vector<at::Tensor>> all(1);
  for (int r = 0; r < group.size; ++r) all[0].push_back(at::empty_like(own));
  std::vector<at::Tensor> inputs{own};
  group.backendFor(at::kCPU, "agree")->allgather(all, inputs)->wait();
  const auto textOf = [&](int r) { return std::string(reinterpret_cast<const char*>(all[0][r].data_ptr<uint8_t>())); };
  const auto first = textOf(0);
  for (int r = 1; r < group.size; ++r)
    if (const auto other = textOf(r); other != first)
      throw ReportedError({"ERR_DISTRIBUTED",
                           c10::str("rank ", group.speaker().rank, " of ", group.worldSize,
                                    ": Expected the same call on all ranks but rank ", group.ranks[0], " calls ", first,
                                    " and rank ", group.ranks[r], " ", other),
                           group.speaker().rank});
}

Napi::Value allReduce(Napi::Env env, GroupPtr group, at::Tensor tensor, std::string reduction) {
  checkUsable(*group, "allReduce");
  const auto [op, mean] = reductionOf(reduction, tensor, "allReduce");
  group->backendFor(tensor.device(), "allReduce");
  auto result = ownCopy(tensor);
  c10d::AllreduceOptions options;
  options.reduceOp = op;
  const auto call = callOf("allReduce", result, reduction);
  return promise(
      env, "allReduce", group->speaker(),
      [group, call, result, options]() -> c10::intrusive_ptr<c10d::Work> {
        agree(*group, call);
        if (result.numel() == 0) return nullptr;
        std::vector<at::Tensor> tensors{result};
        return ordered(group->backendFor(result.device(), "allReduce")->allreduce(tensors, options), result);
      },
      [group, result, mean](Napi::Env env) -> Napi::Value {
        return toJs(env, mean ? result.div_(group->size) : result);
      });
}

Napi::Value broadcast(Napi::Env env, GroupPtr group, at::Tensor tensor, int64_t source) {
  checkUsable(*group, "broadcast");
  if (source < 0 || source >= group->size)
    invalidArgument("Expected a rank from 0 to " + std::to_string(group->size - 1) +
                    " for argument 'source' of broadcast() but received " + std::to_string(source));
  group->backendFor(tensor.device(), "broadcast");
  auto result = ownCopy(tensor);
  c10d::BroadcastOptions options;
  options.rootRank = source;
  const auto call = callOf("broadcast", result, "source " + std::to_string(source));
  return promise(
      env, "broadcast", group->speaker(),
      [group, call, result, options]() -> c10::intrusive_ptr<c10d::Work> {
        agree(*group, call);
        if (result.numel() == 0) return nullptr;
        std::vector<at::Tensor> tensors{asBytes(result)};
        return ordered(group->backendFor(result.device(), "broadcast")->broadcast(tensors, options), result);
      },
      [result](Napi::Env env) { return toJs(env, result); });
}

Napi::Value allGather(Napi::Env env, GroupPtr group, at::Tensor tensor) {
  checkUsable(*group, "allGather");
  group->backendFor(tensor.device(), "allGather");
  auto input = ownCopy(tensor);
  std::vector<at::Tensor> results;
  for (int r = 0; r < group->size; ++r) results.push_back(at::empty_like(input));
  const auto call = callOf("allGather", input);
  return promise(
      env, "allGather", group->speaker(),
      [group, call, input, results]() -> c10::intrusive_ptr<c10d::Work> {
        agree(*group, call);
        if (input.numel() == 0) return nullptr;
        std::vector<std::vector<at::Tensor>> outputs(1);
        for (const auto& result : results) outputs[0].push_back(asBytes(result));
        std::vector<at::Tensor> inputs{asBytes(input)};
        return ordered(group->backendFor(input.device(), "allGather")->allgather(outputs, inputs), input);
      },
      [results](Napi::Env env) { return toJs(env, results); });
}

Napi::Value reduceScatter(Napi::Env env, GroupPtr group, at::Tensor tensor, std::string reduction) {
  checkUsable(*group, "reduceScatter");
  const auto [op, mean] = reductionOf(reduction, tensor, "reduceScatter");
  group->backendFor(tensor.device(), "reduceScatter");
  if (tensor.dim() == 0 || tensor.size(0) % group->size != 0)
    invalidArgument("Expected a tensor whose first dimension is a multiple of the " + std::to_string(group->size) +
                    " ranks for reduceScatter() but received shape " + c10::str(tensor.sizes()));
  auto input = ownCopy(tensor);
  auto shape = tensor.sizes().vec();
  shape[0] /= group->size;
  auto result = at::empty(shape, input.options());
  c10d::ReduceScatterOptions options;
  options.reduceOp = op;
  const auto call = callOf("reduceScatter", input, reduction);
  return promise(
      env, "reduceScatter", group->speaker(),
      [group, call, input, result, options]() -> c10::intrusive_ptr<c10d::Work> {
        agree(*group, call);
        if (result.numel() == 0) return nullptr;
        at::Tensor out = result, in = input;
        // gloo's work has no future here: it is awaited on the issuing thread.
        group->backendFor(in.device(), "reduceScatter")->_reduce_scatter_base(out, in, options)->wait();
        return nullptr;
      },
      [group, input, result, mean](Napi::Env env) -> Napi::Value {
        return toJs(env, mean ? result.div_(group->size) : result);
      });
}

Napi::Value barrier(Napi::Env env, GroupPtr group) {
  checkUsable(*group, "barrier");
  return promise(
      env, "barrier", group->speaker(),
      [group]() -> c10::intrusive_ptr<c10d::Work> {
        agree(*group, "barrier()");  // which waits for every rank: that is the barrier
        return nullptr;
      },
      nothing());
}

Napi::Value monitoredBarrier(Napi::Env env, GroupPtr group, double timeoutMs) {
  checkUsable(*group, "monitoredBarrier");
  c10d::BarrierOptions options;
  options.timeout = std::chrono::milliseconds(static_cast<int64_t>(timeoutMs));
  // It names who is missing by itself, and all may go on after it.
  const Speaker speaker{group->speaker().rank, group->worldSize};
  return promise(
      env, "monitoredBarrier", speaker,
      [group, options]() -> c10::intrusive_ptr<c10d::Work> {
        group->backendFor(at::kCPU, "monitoredBarrier")->monitoredBarrier(options, /*waitAllRanks=*/true);
        return nullptr;
      },
      nothing());
}

Napi::Value broadcastInto(Napi::Env env, GroupPtr group, std::vector<at::Tensor> tensors) {
  checkUsable(*group, "broadcastInto");
  for (auto& tensor : tensors) tensor = tensor.detach();
  const auto call = c10::str("broadcastInto(", tensors.size(), " tensors)");
  return promise(
      env, "broadcastInto", group->speaker(),
      [group, call, tensors]() -> c10::intrusive_ptr<c10d::Work> {
        agree(*group, call);
        c10d::broadcast_coalesced(group->c10dGroup(), tensors, kCoalescedBytes, /*rank=*/0);
        return nullptr;
      },
      nothing());
}

void requireSound(const Group& group) {
  checkUsable(group, "requireSound");
  if (group.backend != "nccl") return;
  awaitNow(group.speaker(), [&] {
    const auto error = group.backendFor(at::kCUDA, "requireSound")->getError();
    TORCH_CHECK_WITH(DistBackendError, error == c10d::ErrorType::SUCCESS, "NCCL gave up an exchange between the GPUs",
                     error == c10d::ErrorType::TIMEOUT ? ", which timed out" : "");
  });
}

at::Tensor sumNow(const Group& group, const at::Tensor& tensor, const std::string& op) {
  checkUsable(group, op.c_str());
  reductionOf("sum", tensor, op);
  auto result = ownCopy(tensor);
  awaitNow(group.speaker(), [&] {
    at::NoGradGuard guard;
    std::vector<at::Tensor> tensors{result};
    group.backendFor(result.device(), op)->allreduce(tensors)->wait();
  });
  return result;
}

}  // namespace afa::distributed
