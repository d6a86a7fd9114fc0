// Collectives over a group. Tensors are made new: what is passed in stays as it is, whatever becomes of the call.
#pragma once
#include <napi.h>

#include "distributed/process_group.h"

namespace afa::distributed {

using GroupPtr = std::shared_ptr<Group>;

// Throws ArgumentError for a group that was destroyed.
void checkUsable(const Group& group, const char* op);

// Blocks on the issuing thread until every rank makes a call, and compares them in words: gloo ends the process when
// two ranks' sizes differ. The group is of use afterwards, as nothing else was sent.
void agree(const Group& group, const std::string& call);

Napi::Value allReduce(Napi::Env env, GroupPtr group, at::Tensor tensor, std::string reduction);
Napi::Value broadcast(Napi::Env env, GroupPtr group, at::Tensor tensor, int64_t source);
Napi::Value allGather(Napi::Env env, GroupPtr group, at::Tensor tensor);
Napi::Value reduceScatter(Napi::Env env, GroupPtr group, at::Tensor tensor, std::string reduction);
Napi::Value barrier(Napi::Env env, GroupPtr group);
Napi::Value monitoredBarrier(Napi::Env env, GroupPtr group, double timeoutMs);
// Overwrites the tensors with rank 0's, several at a time.
Napi::Value broadcastInto(Napi::Env env, GroupPtr group, std::vector<at::Tensor> tensors);

// Throws where NCCL has given up a call of the group. What a GPU then computed of it is nothing, and no call of this thread
// says so: NCCL's only queue work, and its watchdog ends what hangs. gloo's throw by themselves.
void requireSound(const Group& group);

// Sums over the ranks, waiting on this thread: for losses and statistics amid a training step.
at::Tensor sumNow(const Group& group, const at::Tensor& tensor, const std::string& op);

}  // namespace afa::distributed
