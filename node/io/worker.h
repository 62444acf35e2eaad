// Blocking work away from a shard: a few threads and a bounded queue.
//
// Purpose: opening, rewind and rebuild preparation block; a shard does not. `work` runs on one of
// the threads, `done` then on the reactor, in order of completion. One pool serves one reactor.
// Life cycle: destroyed before its reactor; the destructor finishes what was queued.
// Thread: run() from the reactor's thread. Errors: none; the queue is as long as there are
// replicas.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "node/io/reactor.h"

namespace seawall::io {

class Worker final : public runtime::Blocking {
 public:
  explicit Worker(Reactor& reactor, unsigned threads = 2);
  ~Worker() override;

  void run(std::function<void()> work, std::function<void()> done) override;
  std::size_t pending() const;  // queued, running, or waiting for `done`

 private:
  struct Job {
    std::function<void()> work, done;
  };
  void serve();

  Reactor& reactor_;
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Job> queue_;
  std::size_t pending_ = 0;
  bool stop_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace seawall::io
