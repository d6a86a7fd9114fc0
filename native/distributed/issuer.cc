#include "distributed/issuer.h"

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

namespace afa::distributed {

namespace {

class Issuer {
 public:
  Issuer() { std::thread([this] { loop(); }).detach(); }

  void push(std::function<void()> job) {
    {
      std::lock_guard lock(mutex_);
      queue_.push_back(std::move(job));
    }
    wake_.notify_one();
  }

 private:
  void loop() {
    for (;;) {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [this] { return !queue_.empty(); });
      auto job = std::move(queue_.front());
      queue_.pop_front();
      lock.unlock();
      job();
    }
  }

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::function<void()>> queue_;
};

}  // namespace

void issue(std::function<void()> job) {
  static auto& issuer = *new Issuer();  // leaked: its thread outlives static destructors
  issuer.push(std::move(job));
}

}  // namespace afa::distributed
