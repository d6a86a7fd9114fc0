// What is not a tensor: threads, random state, devices, versions, counters.
#include "system.h"

#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <ATen/detail/CUDAHooksInterface.h>
#include <c10/macros/Macros.h>
#include <c10/util/Logging.h>
#include <torch/headeronly/version.h>

#include <cstdlib>
#include <mutex>

#include "allocator.h"
#include "cuda_info.h"

#if defined(__GLIBC__)
#include <malloc.h>
#endif

namespace afa {

namespace {

// What NVIDIA's libraries and libtorch read of the environment, where the user has set nothing.
void chooseCudaVariables() {
  const auto choose = [](const char* name, const char* value) { setenv(name, value, /*overwrite=*/0); };
  // With a workspace of its own for each stream cuBLAS always sums in one order. It reads this when it starts, libtorch
  // once, at the first product of the process: after that it is too late to ask for determinism.
  choose("CUBLAS_WORKSPACE_CONFIG", ":4096:8");
  // A collective that a lost process leaves hanging is aborted, and the next one throws: this process can then say who
  // was lost. By default libtorch waits a minute for its own dumps and ends the process by SIGABRT.
  choose("TORCH_NCCL_ASYNC_ERROR_HANDLING", "2");
  choose("TORCH_NCCL_DUMP_ON_TIMEOUT", "0");
  choose("TORCH_NCCL_WAIT_TIMEOUT_DUMP_MILSEC", "250");
}

}  // namespace

void tuneProcess() {
  static std::once_flag once;  // worker threads load the addon too: what was set since must stay
  std::call_once(once, [] {
    auto& context = at::globalContext();
    // Float32 means float32: TF32 keeps 10 bits of each factor. bfloat16 is asked for by --amp.
    context.setAllowTF32CuDNN(false);
    context.setAllowTF32CuBLAS(false);
    context.setBenchmarkCuDNN(true);
    if (at::Context::hasCUDART()) chooseCudaVariables();
    installAllocator();
  });
  c10::initLogging();  // reads TORCH_CPP_LOG_LEVEL, which Python does for its users
#if defined(__GLIBC__)
  // Large tensors have a pool; what else is of some size (oneDNN's scratch memory, small tensors) is reused on the heap
  // rather than mapped afresh each time.
  mallopt(M_MMAP_THRESHOLD, 32 << 20);
  mallopt(M_TRIM_THRESHOLD, 64 << 20);
  mallopt(M_TOP_PAD, 16 << 20);
#endif
}

namespace {

Napi::Value buildInfo(Napi::Env env) {
  auto info = Napi::Object::New(env);
  info.Set("torchVersion", TORCH_VERSION);
  info.Set("cudaLibrary", at::Context::hasCUDART());  // hasCUDA() asks whether a GPU answers
  info.Set("cuda", cudaBuild(env));
  info.Set("mpsLibrary", at::hasMPS());
  info.Set("parallel", at::get_parallel_info());
  info.Set("cpuCapability", at::get_cpu_capability());
  info.Set("mkldnn", at::hasMKLDNN());
  return info;
}

// Of two ways to compute something libtorch takes the one that always sums in the same order, and refuses what has no
// such way. Memory is not filled with NaN before use, as Python does by default: no result of ours depends on it.
void setDeterministic(bool value) {
  auto& context = at::globalContext();
  context.setDeterministicAlgorithms(value, /*warn_only=*/false);
  context.setDeterministicFillUninitializedMemory(false);
  context.setDeterministicCuDNN(value);
  context.setDeterministicMkldnn(value);
  context.setBenchmarkCuDNN(!value);  // it picks algorithms by timing them
}

// cuDNN's algorithms by timing them, for each new shape; never under setDeterministic.
void setConvolutionTiming(bool value) {
  auto& context = at::globalContext();
  context.setBenchmarkCuDNN(value && !context.deterministicAlgorithms());
}

at::Tensor stateOf(at::Generator generator) {
  std::lock_guard<std::mutex> lock(generator.mutex());
  return generator.get_state();
}
void restore(at::Generator generator, const at::Tensor& state) {
  std::lock_guard<std::mutex> lock(generator.mutex());
  generator.set_state(state);
}

// The generator of the first GPU that this process computes on, of which dropout draws there; undefined where it computes
// on none.
at::Generator gpuGenerator() {
  if (!at::hasCUDA()) return {};
  const auto& hooks = at::detail::getCUDAHooks();
  for (at::DeviceIndex index = 0; index < hooks.deviceCount(); ++index)
    if (hooks.hasPrimaryContext(index)) return at::globalContext().defaultGenerator(at::Device(at::kCUDA, index));
  return {};
}

// The CPU's state, and behind it the GPU's where there is one.
at::Tensor getRngState() {
  auto own = stateOf(at::detail::getDefaultCPUGenerator());
  auto gpu = gpuGenerator();
  return gpu.defined() ? at::cat({own, stateOf(gpu)}) : own;
}

void setRngState(at::Tensor state) {
  auto cpu = at::detail::getDefaultCPUGenerator();
  const int64_t own = stateOf(cpu).numel();
  const bool both = state.numel() > own;
  restore(cpu, both ? state.narrow(0, 0, own).clone() : state);
  // A run that goes on without its GPU draws from a new stream there: none of its numbers could be the same.
  if (auto gpu = gpuGenerator(); both && gpu.defined()) restore(gpu, state.narrow(0, own, state.numel() - own).clone());
}

Napi::Value memory(Napi::Env env) {
  const auto& data = AddonData::of(env);
  auto out = Napi::Object::New(env);
  out.Set("liveTensors", static_cast<double>(data.liveTensors));
  out.Set("liveBytes", static_cast<double>(data.liveBytes));
  out.Set("hostReads", static_cast<double>(data.hostReads));
  const auto use = poolUse();
  out.Set("pooledBytes", static_cast<double>(use.heldBytes));
  out.Set("idleBytes", static_cast<double>(use.idleBytes));
  return out;
}

}  // namespace

void registerSystem(Exports& m) {
  m.def("initialize", {"errorClass"}, +[](Napi::Value errorClass) {
    AddonData::of(errorClass.Env()).errorClass = Napi::Persistent(errorClass.As<Napi::Function>());
  });
  m.def("buildInfo", {}, buildInfo);
  m.def("cudaStatus", {}, cudaStatus);
  m.def("memory", {}, memory);
  m.def("setScoped", {"value"}, +[](Napi::Env env, bool value) { AddonData::of(env).scoped = value; });
  m.def("emptyCache", {}, +[]() { emptyPool(); });
  m.def("finishJobs", {}, +[](Napi::Env env) { finishJobs(env); });
  m.def("deviceAvailable", {"device"}, +[](Napi::Value device) {
    return deviceAvailable(parseDevice({device.Env(), device, "deviceAvailable", "device"}));
  });
  m.def("setNumThreads", {"threads"}, +[](int64_t threads) { at::set_num_threads(static_cast<int>(threads)); });
  m.def("getNumThreads", {}, +[]() { return static_cast<int64_t>(at::get_num_threads()); });
  m.def("setDeterministic", {"value"}, setDeterministic);
  m.def("setConvolutionTiming", {"value"}, setConvolutionTiming);
  m.def("timesConvolutions", {}, +[]() { return at::globalContext().benchmarkCuDNN(); });
  m.def("isDeterministic", {}, +[]() { return at::globalContext().deterministicAlgorithms(); });
  m.def("manualSeed", {"seed"}, +[](int64_t seed) { at::manual_seed(static_cast<uint64_t>(seed)); });
  m.def("getRngState", {}, getRngState);
  m.def("setRngState", {"state"}, setRngState);
}

}  // namespace afa
