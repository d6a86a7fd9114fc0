#include "async.h"

#include <ATen/ThreadLocalState.h>

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

#include "addon_data.h"
#include "errors.h"

namespace afa {

namespace {

struct Job {
  std::string op;
  Work work;
  Settle settle;
  Napi::Promise::Deferred deferred;
  at::ThreadLocalState threadState;  // grad mode and autocast are per thread: the caller's are carried over
  std::exception_ptr error;
};

void settleJob(Napi::Env env, Napi::Function, void*, Job* raw);

}  // namespace

class ComputeThread {
 public:
  explicit ComputeThread(Napi::Env env)
      : done_(Done::New(env, "medical-afa compute", 0, 1)), thread_([this] { loop(); }) {
    done_.Unref(env);
  }

  ~ComputeThread() {
    finish();
    if (!closed_) done_.Release();
  }

  // Waits for the job under way; those that wait in the queue never run.
  void finish() {
    {
      std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    wake_.notify_one();
    if (thread_.joinable()) thread_.join();
  }

  void push(Napi::Env env, std::unique_ptr<Job> job) {
    if (pending_++ == 0) done_.Ref(env);  // an unfinished promise keeps the process alive
    std::lock_guard lock(mutex_);
    queue_.push_back(std::move(job));
    wake_.notify_one();
  }

  void settled(Napi::Env env) {
    if (--pending_ == 0) done_.Unref(env);
  }

 private:
  using Done = Napi::TypedThreadSafeFunction<void, Job, settleJob>;

  void loop() {
    for (;;) {
      std::unique_ptr<Job> job;
      {
        std::unique_lock lock(mutex_);
        wake_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
        if (stopping_) return;
        job = std::move(queue_.front());
        queue_.pop_front();
      }
      try {
        at::ThreadLocalStateGuard state(job->threadState);
        job->work();
      } catch (...) {
        job->error = std::current_exception();
      }
      job->work = nullptr;
      // After "closing" Node has given up this thread's share of the function: it must not be released again.
      if (done_.BlockingCall(job.get()) == napi_ok) job.release();
      else closed_ = true;
    }
  }

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::unique_ptr<Job>> queue_;
  bool stopping_ = false;
  bool closed_ = false;
  int pending_ = 0;  // JavaScript thread only
  Done done_;
  std::thread thread_;
};

namespace {

void settleJob(Napi::Env env, Napi::Function, void*, Job* raw) {
  std::unique_ptr<Job> job(raw);
  if (static_cast<napi_env>(env) == nullptr) return;  // the environment is going away
  Napi::HandleScope scope(env);
  AddonData::of(env).computeThread->settled(env);
  if (job->error) {
    job->deferred.Reject(makeTorchError(env, describe(job->error), job->op));
    return;
  }
  try {
    job->deferred.Resolve(job->settle(env));
  } catch (const Napi::Error& e) {
    job->deferred.Reject(e.Value());
  } catch (...) {
    job->deferred.Reject(makeTorchError(env, describe(std::current_exception()), job->op));
  }
}

}  // namespace

Napi::Value runAsync(Napi::Env env, const char* op, Work work, Settle settle) {
  auto& thread = AddonData::of(env).computeThread;
  if (!thread) thread = std::make_shared<ComputeThread>(env);
  auto deferred = Napi::Promise::Deferred::New(env);
  auto job = std::unique_ptr<Job>(
      new Job{op, std::move(work), std::move(settle), deferred, at::ThreadLocalState(), nullptr});
  thread->push(env, std::move(job));
  return deferred.Promise();
}

void finishJobs(Napi::Env env) {
  if (auto& thread = AddonData::of(env).computeThread) thread->finish();
}

}  // namespace afa
