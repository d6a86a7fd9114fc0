#include "distributed/roll_call.h"

#include <c10/util/StringUtil.h>

#include <algorithm>
#include <cstdlib>
#include <set>
#include <sstream>
#include <thread>

namespace afa::distributed {

namespace {

using namespace std::chrono_literals;

constexpr auto kInterval = 500ms;
constexpr auto kHurriedInterval = 100ms;
// A rank that misses six beats in a row is lost: fewer would blame one whose machine is merely busy.
constexpr auto kSilence = 3s;
// What a rank that has told, or that holds the store, grants the others to read it.
constexpr auto kReading = 5s;
// How long after a pause of this process's own the others' absence is put down to it.
constexpr auto kAfterPause = 60s;
constexpr size_t kMostNamed = 8;

const char* const kVerdict = "verdict";

std::string keyOf(int rank) { return "beat/" + std::to_string(rank); }

// Those that run. Leaked, as their threads may outlive static destructors.
struct Running {
  std::mutex mutex;
  std::set<std::shared_ptr<RollCall>> calls;
};
Running& running() {
  static auto& leaked = *new Running();
  return leaked;
}

// A thread that talks to the store while libtorch's static objects go away would crash the process that exits.
void stopAll() {
  std::set<std::shared_ptr<RollCall>> calls;
  {
    std::lock_guard lock(running().mutex);
    calls = running().calls;
  }
  for (const auto& call : calls) call->stop();
}

}  // namespace

RollCall::RollCall(c10::intrusive_ptr<c10d::Store> store, std::vector<Peer> peers, int rank)
    : store_(std::move(store)), peers_(std::move(peers)), rank_(rank), heard_(peers_.size()) {}

std::shared_ptr<RollCall> RollCall::start(const c10::intrusive_ptr<c10d::Store>& store, std::vector<Peer> peers,
                                          int rank) {
  std::shared_ptr<RollCall> call(new RollCall(store, std::move(peers), rank));
  call->answered_ = call->woke_ = Clock::now();
  call->beat();  // the first on this thread: every rank that is met has one
  {
    std::lock_guard lock(running().mutex);
    static const bool registered = std::atexit(stopAll) == 0;
    (void)registered;
    running().calls.insert(call);
  }
  std::thread([call] { call->run(); }).detach();
  return call;
}

void RollCall::at(const std::string& place) {
  std::lock_guard lock(mutex_);
  place_ = place;
}

std::string RollCall::place() {
  std::lock_guard lock(mutex_);
  return place_;
}

void RollCall::stop() {
  std::unique_lock lock(mutex_);
  stop_ = true;
  changed_.notify_all();
  changed_.wait_for(lock, 200ms, [this] { return ended_; });  // longer only where the store does not answer
}

void RollCall::run() {
  try {
    while (waitForBeat()) beat();
  } catch (const std::exception&) {
    std::lock_guard lock(mutex_);
    awake();
    gone_ = true;
  }
  {
    std::lock_guard lock(mutex_);
    ended_ = true;
    changed_.notify_all();
  }
  std::lock_guard lock(running().mutex);
  running().calls.erase(shared_from_this());
}

bool RollCall::waitForBeat() {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, asking_ > 0 ? kHurriedInterval : kInterval, [this] { return stop_ || hurry_; });
  hurry_ = false;
  awake();
  return !stop_;
}

// Others take this process for lost when its thread did not run for so long; it itself should know why.
void RollCall::awake() {
  const auto now = Clock::now();
  if (now - woke_ > kSilence) {
    paused_ = std::chrono::duration_cast<std::chrono::seconds>(now - woke_);
    resumed_ = now;
  }
  if (now - resumed_ > kAfterPause) paused_ = 0s;
  woke_ = now;
}

void RollCall::beat() {
  std::string own;
  Verdict proposed, verdict;
  bool asked;
  {
    std::lock_guard lock(mutex_);
    own = c10::str(++beats_, " ", calls_.load(), " ", verdict_.text.empty() ? 0 : 1, " ", place_);
    proposed = proposed_;
    verdict = verdict_;
    asked = asking_ > 0;
  }
  store_->set(keyOf(rank_), own);
  const bool told = !verdict.text.empty();
  if (verdict.text.empty()) {
    // The first verdict stays: who reads it second blames nobody who left because of it.
    if (!proposed.text.empty())
      store_->compareSet(kVerdict, "", c10::str(c10::Join(",", proposed.ranks), ";", proposed.text));
    if (store_->check({kVerdict})) {
      const auto written = store_->get_to_str(kVerdict);
      const auto end = written.find(';');
      std::istringstream ranks(written.substr(0, end));
      for (std::string rank; std::getline(ranks, rank, ',');) verdict.ranks.push_back(std::stoi(rank));
      verdict.text = written.substr(end + 1);
    }
  }
  const auto heard = asked ? entries() : std::vector<std::string>();

  std::lock_guard lock(mutex_);
  answered_ = Clock::now();
  if (verdict_.text.empty() && !verdict.text.empty()) hurry_ = true;  // tells that it has read it
  verdict_ = verdict;
  told_ = told;
  hear(heard);
  if (asked && verdict_.text.empty() && proposed_.text.empty()) judge();
  changed_.notify_all();
}

std::vector<std::string> RollCall::entries() {
  std::vector<std::string> keys, out;
  for (size_t rank = 0; rank < peers_.size(); ++rank) keys.push_back(keyOf(static_cast<int>(rank)));
  for (const auto& value : store_->multiGet(keys)) out.emplace_back(value.begin(), value.end());
  return out;
}

void RollCall::hear(const std::vector<std::string>& entries) {
  for (size_t rank = 0; rank < entries.size(); ++rank) {
    auto& heard = heard_[rank];
    std::istringstream entry(entries[rank]);
    int64_t beats = 0;
    entry >> beats >> heard.calls >> heard.told >> std::ws;
    std::getline(entry, heard.place);
    if (beats == heard.beats) continue;
    heard.moved = heard.beats >= 0;
    heard.beats = beats;
    heard.last = Clock::now();
  }
}

RollCall::Asking::Asking(RollCall& call, bool timedOut) : call(call) {
  if (call.asking_++ == 0) {
    call.timedOut_ = call.allAnswer_ = false;
    for (auto& heard : call.heard_) {
      heard = {};
      heard.last = Clock::now();
    }
  }
  call.timedOut_ = call.timedOut_ || timedOut;
  call.hurry_ = true;
  call.changed_.notify_all();
}

bool RollCall::isSilent(int rank) const { return Clock::now() - heard_[rank].last > kSilence; }

// Needs an answer of each rank: either a new beat, or silence.
void RollCall::judge() {
  const int size = static_cast<int>(peers_.size());
  std::vector<int> silent, behind;
  for (int rank = 0; rank < size; ++rank) {
    if (rank == rank_) continue;
    const auto& heard = heard_[rank];
    if (isSilent(rank)) silent.push_back(rank);
    else if (!heard.moved) return;
    else if (heard.calls < calls_) behind.push_back(rank);
  }
  if (!silent.empty() && paused_ > 0s) {
    proposed_ = {{rank_}, pausedHere()};
    hurry_ = true;
    return;
  }
  // Of a broken connection, who is late is not guilty.
  if (silent.empty() && !timedOut_) behind.clear();
  const auto& ranks = silent.empty() ? behind : silent;
  allAnswer_ = ranks.empty();
  for (size_t i = 0; i < ranks.size() && i < kMostNamed; ++i) {
    const auto& place = heard_[ranks[i]].place;
    proposed_.text += (i ? ". " : "") + name(ranks[i]);
    if (!silent.empty()) proposed_.text += " no longer answers" + (place.empty() ? "" : ", last heard of in " + place);
    else
      proposed_.text += " answers, but has not come to the call in which the others waited" +
                        (place.empty() ? "" : ": it is in " + place);
  }
  if (ranks.size() > kMostNamed) proposed_.text += c10::str(". So it is with ", ranks.size() - kMostNamed, " more");
  proposed_.ranks = ranks;
  hurry_ = !ranks.empty();
}

std::string RollCall::inquire(bool timedOut) {
  std::unique_lock lock(mutex_);
  const Asking asking(*this, timedOut);
  // Counted from here: a process that was stopped has its own silence behind it.
  const auto from = Clock::now();
  const auto silentStore = [&] { return Clock::now() - std::max(from, answered_) > kSilence; };
  const auto known = [&] { return !verdict_.text.empty() || allAnswer_ || ended_ || silentStore(); };
  const auto deadline = from + kSilence + kReading;
  while (!known() && Clock::now() < deadline) changed_.wait_for(lock, kHurriedInterval);
  const bool blamed = std::find(verdict_.ranks.begin(), verdict_.ranks.end(), rank_) != verdict_.ranks.end();
  if (paused_ > 0s && (blamed || gone_)) return pausedHere();
  if (!verdict_.text.empty()) {
    untilTold(lock);
    return verdict_.text;
  }
  return gone_ || silentStore() ? storeLost() : "";
}

void RollCall::tell(const std::string& fault) {
  std::unique_lock lock(mutex_);
  if (ended_ || !verdict_.text.empty() || !proposed_.text.empty()) return;
  proposed_ = {{rank_}, name(rank_) + " failed" + (place_.empty() ? "" : " in " + place_) + ": " + fault};
  const Asking asking(*this, false);
  const auto deadline = Clock::now() + kReading;
  while (verdict_.text.empty() && !ended_ && Clock::now() < deadline) changed_.wait_for(lock, kHurriedInterval);
  untilTold(lock);
}

// The store ends with the rank that holds it: that one waits until the others have read, which they say before they go.
void RollCall::untilTold(std::unique_lock<std::mutex>& lock) {
  const auto told = [this] {
    if (!told_ || !peers_[rank_].holdsStore) return told_;
    for (int rank = 0; rank < static_cast<int>(peers_.size()); ++rank)
      if (rank != rank_ && !heard_[rank].told && !isSilent(rank)) return false;
    return true;
  };
  const auto deadline = Clock::now() + kReading;
  while (!told() && !ended_ && Clock::now() < deadline) changed_.wait_for(lock, kHurriedInterval);
}

std::string RollCall::name(int rank) const {
  return c10::str("Rank ", rank, " of ", peers_.size(), " (process ", peers_[rank].process, " on ", peers_[rank].host,
                  ")");
}

std::string RollCall::pausedHere() const {
  return c10::str(name(rank_), " is this process: it did not run for ", paused_.count(),
                  " s, stopped or on a machine that slept, and the others ended without it");
}

std::string RollCall::storeLost() const {
  for (size_t rank = 0; rank < peers_.size(); ++rank)
    if (peers_[rank].holdsStore)
      return name(static_cast<int>(rank)) + ", which holds the store of all ranks, no longer answers";
  return "The launcher, which holds the store of all ranks, no longer answers";
}

}  // namespace afa::distributed
