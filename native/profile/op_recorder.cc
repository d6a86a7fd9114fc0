#include "profile/op_recorder.h"

#include <ATen/record_function.h>

#include <chrono>
#include <mutex>
#include <unordered_map>

namespace afa {

namespace {

struct Event {
  int64_t name;     // index in names
  int64_t shapes;   // index in names, or -1
  int64_t thread;   // libtorch's number of it
  double start;     // microseconds of the monotonic clock, which is process.hrtime()'s
  double duration;
};

double microseconds() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration<double, std::micro>(now).count();
}

struct Running : at::ObserverContext {
  double start = 0;
  std::string shapes;
};

// "[4,64,80,80] [64,64,1,1]": the tensors among an operation's inputs.
std::string shapesOf(const at::RecordFunction& function) {
  std::string text;
  for (const auto& input : function.inputs()) {
    if (!input.isTensor() || !input.toTensor().defined()) continue;
    text += text.empty() ? "[" : " [";
    const char* separator = "";
    for (const auto size : input.toTensor().sizes()) {
      text += separator + std::to_string(size);
      separator = ",";
    }
    text += "]";
  }
  return text;
}

// One a process. Never destroyed: an operation may end on another thread while the process does.
class OpRecorder {
 public:
  static OpRecorder& instance() {
    static auto* recorder = new OpRecorder;
    return *recorder;
  }

  void start(int64_t limit, bool shapes) {
    if (handle_) invalidArgument("Operations are being recorded already");
    {
      std::lock_guard lock(mutex_);
      limit_ = limit;
      dropped_ = 0;
      events_.clear();
      names_.clear();
      indices_.clear();
    }
    handle_ = at::addGlobalCallback(
        at::RecordFunctionCallback(shapes ? &beginWithShapes : &begin, &end)
            .needsInputs(shapes)
            .scopes({at::RecordScope::FUNCTION, at::RecordScope::BACKWARD_FUNCTION, at::RecordScope::USER_SCOPE}));
  }

  Napi::Value stop(Napi::Env env) {
    if (!handle_) invalidArgument("No operations are being recorded");
    at::removeCallback(*handle_);
    handle_.reset();
    std::lock_guard lock(mutex_);
    auto numbers = Napi::Float64Array::New(env, events_.size() * 5);
    size_t at = 0;
    for (const auto& event : events_) {
      for (const double value : {double(event.name), double(event.shapes), double(event.thread), event.start, event.duration})
        numbers[at++] = value;
    }
    auto out = Napi::Object::New(env);
    out.Set("names", toJs(env, names_));
    out.Set("events", numbers);
    out.Set("dropped", toJs(env, dropped_));
    events_ = {};
    return out;
  }

 private:
  static std::unique_ptr<at::ObserverContext> begin(const at::RecordFunction&) {
    auto running = std::make_unique<Running>();
    running->start = microseconds();
    return running;
  }

  static std::unique_ptr<at::ObserverContext> beginWithShapes(const at::RecordFunction& function) {
    auto running = std::make_unique<Running>();
    running->shapes = shapesOf(function);
    running->start = microseconds();
    return running;
  }

  static void end(const at::RecordFunction& function, at::ObserverContext* context) {
    if (context) instance().add(function, *static_cast<Running*>(context), microseconds());
  }

  void add(const at::RecordFunction& function, const Running& running, double now) {
    std::lock_guard lock(mutex_);
    if (static_cast<int64_t>(events_.size()) >= limit_) {
      ++dropped_;
      return;
    }
    const int64_t shapes = running.shapes.empty() ? -1 : indexOf(running.shapes);
    events_.push_back({indexOf(function.name()), shapes, static_cast<int64_t>(function.threadId()), running.start,
                       now - running.start});
  }

  int64_t indexOf(const std::string& name) {
    const auto [found, isNew] = indices_.try_emplace(name, static_cast<int64_t>(names_.size()));
    if (isNew) names_.push_back(name);
    return found->second;
  }

  std::optional<at::CallbackHandle> handle_;  // JavaScript threads only
  std::mutex mutex_;
  int64_t limit_ = 0;
  int64_t dropped_ = 0;
  std::vector<Event> events_;
  std::vector<std::string> names_;
  std::unordered_map<std::string, int64_t> indices_;
};

}  // namespace

void registerProfile(Exports& m) {
  m.def("recordOpsStart", {"limit", "shapes"},
        +[](int64_t limit, bool shapes) { OpRecorder::instance().start(limit, shapes); });
  m.def("recordOpsStop", {}, +[](Napi::Env env) { return OpRecorder::instance().stop(env); });
  m.def("currentThread", {}, +[]() { return static_cast<int64_t>(at::RecordFunction::currentThreadId()); });
}

}  // namespace afa
