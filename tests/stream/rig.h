// A store whose commits are the truth, and stations that watch it over links that can fail.
//
// Purpose: the tests of controller/stream. A station is a watcher with a disk that outlives it; its
// link carries messages one by one, in both directions, when the test says so.
// Thread: one; nothing runs beside the test, the same calls give the same transcripts.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "controller/store/memory_store.h"
#include "controller/stream/feed.h"
#include "controller/stream/watcher.h"
#include "engine/base/prng.h"
#include "tests/stream/model.h"

namespace seawall::controller::stream {

class Truths {  // listens to a store
 public:
  explicit Truths(Store& store);
  ~Truths();
  Truths(const Truths&) = delete;
  Truths& operator=(const Truths&) = delete;
  [[nodiscard]] const Truth& truth() const { return truth_; }
  // Feeds that are told of commits.
  std::vector<Feed*> feeds;

 private:
  Store& store_;
  Truth truth_;
};

class Station {
 public:
  Station(Store& store, Truths& truths, bool all);
  ~Station();
  Station(const Station&) = delete;
  Station& operator=(const Station&) = delete;

  // A new process and a new stream, from the disk.
  void start();
  void reconnect();  // a new stream only; what was on the way is lost
  void die();
  void claim(VolumeId volume, const Version& last);  // as if that were stored
  // Moves messages until nothing moves; each passes `fault` first when there is one.
  void settle();
  void watch(VolumeId volume) { watched_.push_back(volume); }

  // The n-th message on this link (both ways, from 1) is: dropped, doubled, or swapped with the
  // next of its direction.
  enum class Fault { none, drop, twice, swap };
  void fail_at(std::size_t message, Fault fault) { fault_at_ = message, fault_ = fault; }
  // The process dies before its n-th effect (from 1) is carried out.
  void die_before_effect(std::size_t effect) { die_at_ = effect; }
  void block(bool up, bool down) { up_blocked_ = up, down_blocked_ = down; }
  void keep_acknowledgements(bool yes) { keeps_acks_ = yes; }

  [[nodiscard]] bool alive() const { return watcher_ != nullptr; }
  [[nodiscard]] std::size_t messages() const { return messages_; }
  [[nodiscard]] std::size_t effects() const { return effects_; }
  [[nodiscard]] const Transcript& transcript() const { return transcript_; }
  [[nodiscard]] const std::map<VolumeId, Watched>& disk() const { return disk_; }
  [[nodiscard]] const Watcher& watcher() const { return *watcher_; }
  [[nodiscard]] const std::vector<ToWatcher>& received() const { return received_; }
  [[nodiscard]] const std::string& stopped() const { return stopped_; }
  [[nodiscard]] std::size_t on_the_way() const { return up_.size() + down_.size(); }
  [[nodiscard]] std::size_t held_acks() const { return held_.size(); }
  void release_acknowledgements();
  void hear(const ToWatcher& message);  // straight to the watcher

 private:
  void open_stream();
  void carry_out(const std::vector<Effect>& effects);
  void note(const ToWatcher& message);
  template <class Message>
  void send(std::deque<Message>& queue, Message message);

  Store& store_;
  Truths& truths_;
  const bool all_;
  std::vector<VolumeId> watched_;
  std::map<VolumeId, Watched> disk_;
  std::unique_ptr<Watcher> watcher_;
  std::unique_ptr<Feed> feed_;
  std::deque<FromWatcher> up_;
  std::deque<ToWatcher> down_;
  std::deque<FromWatcher> held_;
  std::vector<ToWatcher> received_;
  Transcript transcript_;
  std::string stopped_, body_;
  std::size_t messages_ = 0, effects_ = 0, fault_at_ = 0, die_at_ = 0;
  Fault fault_ = Fault::none;
  bool up_blocked_ = false, down_blocked_ = false, keeps_acks_ = false;
};

// Commits of made-up but well-formed changes, straight to a store.
class Minter {
 public:
  Minter(Store& store, std::uint64_t seed) : store_(store), prng_(seed) {}
  void create(VolumeId id, const std::string& name);
  void change(VolumeId id);
  void change_epoch(VolumeId id);
  void remove(VolumeId id);
  void add_event(VolumeId id, const std::string& type);  // a change of nothing but the revision
  [[nodiscard]] Version version(VolumeId id);

 private:
  void commit(VolumeId id, const std::optional<VolumeRecord>& before,
              const std::optional<VolumeRecord>& after, const std::string& type);
  VolumeRecord record(VolumeId id);

  Store& store_;
  Prng prng_;
};

VolumeId volume_id(std::uint64_t number);

// Runs `story` a hundred times: the first over SQLite, the others over memory. All transcripts are
// the same bytes, the model accepts them, and they equal golden/<name>.txt (SEAWALL_REWRITE=1
// writes it).
using Story = std::function<Transcript(Store&, Truths&)>;
void hundred_times(const std::string& name, const Story& story, bool complete = true);

}  // namespace seawall::controller::stream
