#include "distributed/pending.h"

#include <regex>

#include "distributed/issuer.h"
#include "errors.h"

namespace afa::distributed {

namespace {

struct Pending {
  std::string op;
  Speaker speaker;
  Start start;
  Settle settle;
  Napi::Promise::Deferred deferred;
  std::exception_ptr error;
};

// gloo begins its messages with the place in its sources and ends them with advice to its own developers.
std::string inWords(const std::string& message) {
  static const std::regex position(R"(^\[[^\]\s]*:\d+\] )");
  auto words = std::regex_replace(message, position, "");
  const auto advice = words.find(" This is typically caused by");
  if (advice != std::string::npos)
    words = words.substr(0, advice) + " That process has ended or hangs: its own output says why.";
  return words;
}

ErrorInfo explain(std::exception_ptr error, Speaker speaker) {
  auto info = describe(error);
  if (info.code == "ERR_INVALID_ARG" || info.rank) return info;
  if (info.code == "ERR_TORCH") info.code = "ERR_DISTRIBUTED";
  info.message = "rank " + std::to_string(speaker.rank) + " of " + std::to_string(speaker.size) + ": " +
                 inWords(info.message);
  info.rank = speaker.rank;
  return info;
}

void settlePending(Napi::Env env, Napi::Function, void*, Pending* raw) {
  std::unique_ptr<Pending> pending(raw);
  if (static_cast<napi_env>(env) == nullptr) return;  // the environment is going away
  Napi::HandleScope scope(env);
  const auto reject = [&](const std::exception_ptr& error) {
    pending->deferred.Reject(makeTorchError(env, explain(error, pending->speaker), pending->op));
  };
  if (pending->error) return reject(pending->error);
  try {
    pending->deferred.Resolve(pending->settle(env));
  } catch (const Napi::Error& e) {
    pending->deferred.Reject(e.Value());
  } catch (...) {
    reject(std::current_exception());
  }
}

using Done = Napi::TypedThreadSafeFunction<void, Pending, settlePending>;

void finish(Done done, std::unique_ptr<Pending> pending, std::exception_ptr error) {
  pending->error = std::move(error);
  // After "closing" Node has given up this thread's share of the function: it must not be released again.
  if (done.BlockingCall(pending.get()) != napi_ok) return;
  pending.release();
  done.Release();
}

}  // namespace

Napi::Value promise(Napi::Env env, const char* op, Speaker speaker, Start start, Settle settle) {
  auto deferred = Napi::Promise::Deferred::New(env);
  auto* pending = new Pending{op, speaker, std::move(start), std::move(settle), deferred, nullptr};
  auto done = Done::New(env, op, 0, 1);  // keeps the process alive until the promise is settled
  issue([done, pending]() {
    std::unique_ptr<Pending> own(pending);
    c10::intrusive_ptr<c10d::Work> work;
    c10::intrusive_ptr<c10::ivalue::Future> future;
    try {
      at::NoGradGuard guard;
      work = own->start();
      if (work) future = work->getFuture();
    } catch (...) {
      return finish(done, std::move(own), std::current_exception());
    }
    if (!work) return finish(done, std::move(own), nullptr);
    auto* waiting = own.release();
    future->addCallback([done, waiting, work](c10::ivalue::Future& future) {
      finish(done, std::unique_ptr<Pending>(waiting), future.hasError() ? future.exception_ptr() : nullptr);
    });
  });
  return deferred.Promise();
}

void awaitNow(Speaker speaker, const std::function<void()>& run) {
  try {
    run();
  } catch (...) {
    throw ReportedError(explain(std::current_exception(), speaker));
  }
}

}  // namespace afa::distributed
