// Desk: the one thread that owns the controller's Core and store.
//
// Purpose: gRPC handlers hand it inputs and wait; it steps the Core, carries out commits, and
// passes deliveries to the sessions of the nodes. Time: CLOCK_BOOTTIME in ms, a tick every 50 ms.
// Life cycle: start() reads the store and begins; stop() ends the thread and answers what waits.
// Threads: every public method from any thread. Ownership: the store outlives the desk; a NodeLink
// is shared with the handler of its stream. Bounds: queued inputs and what waits for a node; a full
// queue refuses, a full link is ended.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "controller/api/link.h"
#include "controller/core/core.h"
#include "controller/store/runner.h"
#include "controller/stream/feed.h"
#include "proto/control.pb.h"

namespace seawall::controller {

using NodeLink = Link<v1::ControllerMessage>;
using WatchLink = Link<v1::WatchReply>;

class Desk {
 public:
  static constexpr std::size_t inputs_max = 65'536;

  explicit Desk(Store& store) : store_(store), runner_(store) {}
  ~Desk() { stop(); }
  Desk(const Desk&) = delete;
  Desk& operator=(const Desk&) = delete;

  Status start();
  void stop();

  // A node's stream: open, say what it says, close. say() is false when the desk cannot take more:
  // the stream is to be ended, the node registers anew.
  std::uint64_t open(std::shared_ptr<NodeLink> link);
  bool say(std::uint64_t session, control::FromNode message);
  void close(std::uint64_t session);

  // A watcher's stream, likewise. follow() is false when the desk cannot take more.
  std::uint64_t open_feed(std::shared_ptr<WatchLink> link);
  bool follow(std::uint64_t feed, stream::FromWatcher message);
  void close_feed(std::uint64_t feed);

  // A user's request; blocks until it is answered, at the latest after `timeout`.
  Answer ask(Request request, std::chrono::milliseconds timeout);
  // The present projection.
  std::shared_ptr<const v1::Cluster> cluster();
  std::optional<v1::Volume> volume(const std::string& name);
  // Projections for watchers are made while at least one is between these two.
  void begin_watch();
  void end_watch();
  // Blocks until the projection differs from the one with `sequence`; nullptr after `timeout`, or
  // when the desk stops. Projections are made at most every 250 ms.
  std::shared_ptr<const v1::Cluster> wait_for_change(std::uint64_t sequence,
                                                     std::chrono::milliseconds timeout);
  [[nodiscard]] bool is_stopping() const;
  static Instant now();

 private:
  using Task = std::function<void(Instant)>;

  bool post(Task task);
  void run();
  void step(const Input& input, Instant now);
  void dispatch(std::vector<Output>& outputs);
  void publish(Instant now);
  void note_commit(const ChangeEvent& event);
  void pump_feeds();
  std::shared_ptr<const v1::Cluster> project(Instant now);

  Store& store_;
  Runner runner_;                                             // the thread's
  std::map<std::uint64_t, std::shared_ptr<NodeLink>> links_;  // the thread's
  std::map<std::uint64_t, std::promise<Answer>> questions_;   // the thread's
  struct OpenFeed {
    stream::Feed feed;
    std::shared_ptr<WatchLink> link;
  };
  std::map<std::uint64_t, OpenFeed> feeds_;                   // the thread's
  bool feeds_due_ = false;                                    // the thread's
  std::uint64_t sequence_ = 0;                                // the thread's
  std::string last_bytes_;                                    // the thread's
  Instant published_at_;                                      // the thread's

  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::condition_variable changed_;
  std::deque<Task> tasks_;
  std::shared_ptr<const v1::Cluster> published_;
  std::uint64_t next_session_ = 1;
  std::uint64_t next_question_ = 1;
  std::size_t watchers_ = 0;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace seawall::controller
