// A promise for what the issuing thread starts and c10d completes on a thread of its own.
#pragma once
#include <napi.h>
#include <torch/csrc/distributed/c10d/Work.hpp>

#include <functional>
#include <memory>
#include <string>

#include "async.h"
#include "distributed/process_group.h"

namespace afa::distributed {

// On the issuing thread. Returns the work to await, or null when all is done by then.
using Start = std::function<c10::intrusive_ptr<c10d::Work>()>;

// The promise settles with `settle`'s value, or rejects with a TorchError that names operation and rank. Whatever
// `start` and `settle` hold, tensors above all, stays alive until then.
Napi::Value promise(Napi::Env env, const char* op, Speaker speaker, Start start, Settle settle);

// Runs a collective to its end on this thread, which is JavaScript's: for what lies inside a training step. Where it
// fails because of another rank, the error names that one.
void awaitNow(Speaker speaker, const std::function<void()>& run);

}  // namespace afa::distributed
