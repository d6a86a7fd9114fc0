#include "profile/device_recorder.h"

#include <ATen/Context.h>
#include <ATen/detail/CUDAHooksInterface.h>
#include <kineto/ActivityType.h>
#include <torch/csrc/autograd/profiler_kineto.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <limits>
#include <mutex>
#include <thread>
#include <unordered_map>

namespace afa {

namespace {

using libkineto::ActivityType;
using torch::autograd::profiler::KinetoEvent;
namespace kineto = torch::profiler::impl;

template <class Clock>
double microseconds() {
  return std::chrono::duration<double, std::micro>(Clock::now().time_since_epoch()).count();
}

// Microseconds to add to Unix time, which Kineto gives, for the monotonic clock of process.hrtime(). The tightest of a
// few pairs of readings: another process may take the core between two.
double fromUnixTime() {
  double width = std::numeric_limits<double>::infinity(), offset = 0;
  for (int i = 0; i < 5; ++i) {
    const double before = microseconds<std::chrono::steady_clock>();
    const double wall = microseconds<std::chrono::system_clock>();
    const double after = microseconds<std::chrono::steady_clock>();
    if (after - before >= width) continue;
    width = after - before;
    offset = (before + after) / 2 - wall;
  }
  return offset;
}

// What is kept, and its number in the result; -1 for what else Kineto tells (launches, its own overhead, marks).
int kindOf(const KinetoEvent& event, bool onGpu) {
  const auto type = static_cast<ActivityType>(event.activityType());
  if (!onGpu) return type == ActivityType::CPU_OP ? 0 : -1;
  switch (type) {
    case ActivityType::CONCURRENT_KERNEL: return 0;
    case ActivityType::GPU_MEMCPY: return 1;
    case ActivityType::GPU_MEMSET: return 2;
    default: return -1;
  }
}

// One a process, as CUPTI is; Kineto wants it ended by the thread that began it.
class DeviceRecorder {
 public:
  static DeviceRecorder& instance() {
    static auto* recorder = new DeviceRecorder;
    return *recorder;
  }

  void start(Napi::Env env, at::Device device, int64_t limit) {
    if (!device.is_cuda() && !device.is_cpu())
      invalidArgument("Expected cuda or cpu for recorded activities but received " + device.str() +
                      ", of which libtorch's Kineto records none");
    std::lock_guard lock(mutex_);
    if (owner_ || kineto::profilerEnabled())
      invalidArgument("Activities of a device are being recorded already, and a process has one such record at a time");
    // 6 is nothing: below it, Kineto tells of every start and stop on the user's terminal. No kernels, the one thing that
    // matters of what it would say, is told by whoever asked for them.
    setenv("KINETO_LOG_LEVEL", "6", /*overwrite=*/0);
    const kineto::ProfilerConfig config(kineto::ProfilerState::KINETO);
    const std::set activities{device.is_cuda() ? kineto::ActivityType::CUDA : kineto::ActivityType::CPU};
    // Loads CUPTI the first time, for up to seconds. It sees what all threads and CUDA graphs launch.
    torch::autograd::profiler::prepareProfiler(config, activities);
    onGpu_ = device.is_cuda();
    limit_ = limit;
    synchronise();  // what was queued before is not part of it
    offset_ = fromUnixTime();
    torch::autograd::profiler::enableProfiler(config, activities);
    owner_ = std::this_thread::get_id();
    napi_add_env_cleanup_hook(env, abandon, nullptr);
  }

  Napi::Value stop(Napi::Env env) {
    std::lock_guard lock(mutex_);
    if (!owner_) invalidArgument("No activities of a device are being recorded");
    if (*owner_ != std::this_thread::get_id())
      invalidArgument("Expected the thread that began to record the device's activities to end it, but received another");
    napi_remove_env_cleanup_hook(env, abandon, nullptr);
    // A GPU that has failed says so here: the record ends all the same.
    std::exception_ptr failure;
    try {
      synchronise();
    } catch (...) {
      failure = std::current_exception();
    }
    owner_.reset();
    const auto result = torch::autograd::profiler::disableProfiler();
    if (failure) std::rethrow_exception(failure);
    return toNumbers(env, result->events());
  }

 private:
  // A worker thread, or the process, ends before its record.
  static void abandon(void*) {
    auto& self = instance();
    std::lock_guard lock(self.mutex_);
    self.owner_.reset();
    try {
      torch::autograd::profiler::disableProfiler();
    } catch (...) {  // nobody is left to hear of it
    }
  }

  void synchronise() const {
    if (!onGpu_) return;
    const auto& hooks = at::detail::getCUDAHooks();
    hooks.deviceSynchronize(hooks.current_device());
  }

  Napi::Value toNumbers(Napi::Env env, const std::vector<KinetoEvent>& events) const {
    std::vector<std::pair<const KinetoEvent*, int>> kept;
    for (const auto& event : events) {
      const int kind = kindOf(event, onGpu_);
      if (kind >= 0) kept.emplace_back(&event, kind);
    }
    std::stable_sort(kept.begin(), kept.end(),
                     [](const auto& a, const auto& b) { return a.first->startNs() < b.first->startNs(); });
    const auto count = std::min(kept.size(), static_cast<size_t>(std::max<int64_t>(limit_, 0)));
    std::vector<std::string> names;
    std::unordered_map<std::string, size_t> indices;
    auto numbers = Napi::Float64Array::New(env, count * 6);
    for (size_t i = 0; i < count; ++i) {
      const auto& [event, kind] = kept[i];
      const auto [name, isNew] = indices.try_emplace(event->name(), names.size());
      if (isNew) names.push_back(name->first);
      const double gpu = onGpu_ ? event->deviceIndex() : 0;
      const double stream = onGpu_ ? event->deviceResourceId() : event->startThreadId();
      const double values[] = {double(name->second), double(kind), gpu, stream, event->startNs() / 1e3 + offset_,
                               event->durationNs() / 1e3};
      std::copy(std::begin(values), std::end(values), numbers.Data() + 6 * i);
    }
    auto out = Napi::Object::New(env);
    out.Set("names", toJs(env, names));
    out.Set("events", numbers);
    out.Set("dropped", toJs(env, static_cast<int64_t>(kept.size() - count)));
    return out;
  }

  std::mutex mutex_;
  std::optional<std::thread::id> owner_;
  bool onGpu_ = false;
  int64_t limit_ = 0;
  double offset_ = 0;
};

}  // namespace

void registerDeviceRecorder(Exports& m) {
  m.def("recordDeviceStart", {"device", "limit"}, +[](Napi::Env env, at::Device device, int64_t limit) {
    DeviceRecorder::instance().start(env, device, limit);
  });
  m.def("recordDeviceStop", {}, +[](Napi::Env env) { return DeviceRecorder::instance().stop(env); });
}

}  // namespace afa
