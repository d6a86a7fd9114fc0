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
  const auto words = std::regex_replace(message, position, "");
  return words.substr(0, words.find(". This is typically caused by"));
}

// gloo's faults are plain exceptions, NCCL's are c10d's own; other ones of libtorch are this process's.
bool mayBeAnothers(const std::exception_ptr& error) {
  try {
    std::rethrow_exception(error);
  } catch (const c10::DistError&) {
    return true;
  } catch (const c10::Error&) {
    return false;
  } catch (const std::runtime_error&) {
    return true;
  } catch (...) {
    return false;
  }
}

bool isTimeout(const std::string& words) {
  static const std::regex timeout("timed? ?out", std::regex::icase);
  return std::regex_search(words, timeout);
}

ErrorInfo explain(std::exception_ptr error, const Speaker& speaker) {
  auto info = describe(error);
  if (info.code == "ERR_INVALID_ARG" || info.rank) return info;
  if (info.code == "ERR_TORCH") info.code = "ERR_DISTRIBUTED";
  info.rank = speaker.rank;
  const auto words = inWords(info.message);
  const auto lost = speaker.rollCall && mayBeAnothers(error) ? speaker.rollCall->inquire(isTimeout(words)) : "";
  if (lost.empty()) {
    info.message = c10::str("rank ", speaker.rank, " of ", speaker.size, ": ", words);
    return info;
  }
  const auto place = speaker.rollCall->place();
  info.message = c10::str(lost, ". This is rank ", speaker.rank, place.empty() ? "" : " in ", place, " (", words, ")");
  return info;
}

// On the thread that finds the fault: asking who is lost takes time.
std::exception_ptr explained(const std::exception_ptr& error, const Speaker& speaker) {
  return std::make_exception_ptr(ReportedError(explain(error, speaker)));
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
      if (own->speaker.forAll) own->speaker.rollCall->begin();
      work = own->start();
      if (work) future = work->getFuture();
    } catch (...) {
      const auto error = explained(std::current_exception(), own->speaker);
      return finish(done, std::move(own), error);
    }
    if (!work) return finish(done, std::move(own), nullptr);
    auto* waiting = own.release();
    future->addCallback([done, waiting, work](c10::ivalue::Future& future) {
      if (!future.hasError()) return finish(done, std::unique_ptr<Pending>(waiting), nullptr);
      // c10d's thread has other calls to end.
      issue([done, waiting, error = future.exception_ptr()] {
        finish(done, std::unique_ptr<Pending>(waiting), explained(error, waiting->speaker));
      });
    });
  });
  return deferred.Promise();
}

void awaitNow(Speaker speaker, const std::function<void()>& run) {
  try {
    if (speaker.forAll) speaker.rollCall->begin();
    run();
  } catch (...) {
    throw ReportedError(explain(std::current_exception(), speaker));
  }
}

}  // namespace afa::distributed
