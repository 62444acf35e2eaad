#include "node/io/worker.h"

#include <utility>

#include "engine/base/check.h"

namespace seawall::io {

Worker::Worker(Reactor& reactor, unsigned threads) : reactor_(reactor) {
  CHECK(threads > 0);
  for (unsigned i = 0; i < threads; ++i) threads_.emplace_back([this] { serve(); });
}

Worker::~Worker() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void Worker::run(std::function<void()> work, std::function<void()> done) {
  {
    const std::lock_guard lock(mutex_);
    queue_.push_back(Job{std::move(work), std::move(done)});
    ++pending_;
  }
  wake_.notify_one();
}

std::size_t Worker::pending() const {
  const std::lock_guard lock(mutex_);
  return pending_;
}

void Worker::serve() {
  while (true) {
    Job job;
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [this] { return stop_ || !queue_.empty(); });
      if (queue_.empty()) return;
      job = std::move(queue_.front());
      queue_.pop_front();
    }
    job.work();
    auto finished = [this, done = std::move(job.done)] {
      {
        const std::lock_guard lock(mutex_);
        --pending_;
      }
      done();
    };
    // The shard must hear of it: a mailbox that is full now is drained within its current pass.
    while (!reactor_.post(finished)) std::this_thread::yield();
  }
}

}  // namespace seawall::io
