// Promises computed on the addon's own thread. libuv's pool is left alone: it has four threads for
// files and DNS, and every thread of it that ran OpenMP would keep a team of its own.
#pragma once
#include <napi.h>

#include <functional>

namespace afa {

using Work = std::function<void()>;                      // on the compute thread
using Settle = std::function<Napi::Value(Napi::Env)>;    // back on the JavaScript thread

// Queues work; jobs of one environment run one at a time, in order. A throw rejects with a TorchError.
Napi::Value runAsync(Napi::Env env, const char* op, Work work, Settle settle);

// For the process's exit, which does not tear the main environment down: libtorch's static destructors must not
// run under a job that still computes.
void finishJobs(Napi::Env env);

}  // namespace afa
