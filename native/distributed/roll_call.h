// Which rank was lost, once a collective has failed. gloo knows a socket at most, and a rank that leaves because another
// was lost looks lost itself. So each rank has a thread that writes to the store, twice a second, that it lives and where
// it is; who fails, or finds others silent, writes the one verdict there that all ranks read. The thread is not the one
// that computes: a long step is not taken for a loss, and a stopped process stops it too.
#pragma once
#include <torch/csrc/distributed/c10d/Store.hpp>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "distributed/rendezvous.h"

namespace afa::distributed {

class RollCall : public std::enable_shared_from_this<RollCall> {
 public:
  // `store`: a connection of its own, since one that waits for an answer serves nobody else meanwhile.
  static std::shared_ptr<RollCall> start(const c10::intrusive_ptr<c10d::Store>& store, std::vector<Peer> peers, int rank);

  // Where this rank is, in words that others may read: "iteration 812".
  void at(const std::string& place);
  std::string place();
  // This rank begins a collective of all ranks: who has begun fewer than the others is the one they wait for.
  void begin() { ++calls_; }

  // After a failed collective: a sentence about the rank whose fault it is, the same on all ranks; empty where all ranks
  // answer. Waits for some seconds, until it is certain who is silent.
  std::string inquire(bool timedOut);
  // This rank leaves because of a fault of its own. Waits until the others can know.
  void tell(const std::string& fault);

  void stop();

 private:
  using Clock = std::chrono::steady_clock;

  // What is known of another rank.
  struct Heard {
    int64_t beats = -1, calls = 0;
    bool told = false, moved = false;
    std::string place;
    Clock::time_point last;  // when a beat was new
  };
  // Ranks and the sentence about them; of no rank: none yet.
  struct Verdict {
    std::vector<int> ranks;
    std::string text;
  };

  RollCall(c10::intrusive_ptr<c10d::Store> store, std::vector<Peer> peers, int rank);
  void run();
  bool waitForBeat();
  void awake();
  void beat();
  std::vector<std::string> entries();
  void hear(const std::vector<std::string>& entries);
  // While it lives, the thread reads what the others write.
  struct Asking {
    Asking(RollCall& call, bool timedOut);
    ~Asking() { --call.asking_; }
    RollCall& call;
  };
  bool isSilent(int rank) const;
  void judge();
  void untilTold(std::unique_lock<std::mutex>& lock);
  std::string name(int rank) const;
  std::string pausedHere() const;
  std::string storeLost() const;

  const c10::intrusive_ptr<c10d::Store> store_;  // its thread only
  const std::vector<Peer> peers_;
  const int rank_;
  std::atomic<int64_t> calls_{0};

  std::mutex mutex_;
  std::condition_variable changed_;
  bool stop_ = false, hurry_ = false, ended_ = false, gone_ = false;
  bool timedOut_ = false, allAnswer_ = false, told_ = false;
  int asking_ = 0;  // calls of inquire() and tell() under way
  std::string place_;
  int64_t beats_ = 0;
  std::vector<Heard> heard_;
  Verdict verdict_, proposed_;
  Clock::time_point answered_, woke_, resumed_;
  std::chrono::seconds paused_{0};
};

}  // namespace afa::distributed
