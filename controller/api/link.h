// Link: what waits to be written to one stream of a peer. Filled by the desk, drained by the
// stream's writer.
//
// Life cycle: shared by both; ended once, by either. Threads: any. Bounds: a link that is full is
// ended, whoever does not read connects again and hears what matters anew.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <mutex>
#include <optional>
#include <utility>

namespace seawall::controller {

template <class Message>
class Link {
 public:
  static constexpr std::size_t messages_max = 4096;

  void push(Message message) {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (ended_) return;
    if (queue_.size() >= messages_max) {
      queue_.clear();
      ended_ = true;
    } else {
      queue_.push_back(std::move(message));
    }
    changed_.notify_one();
  }

  // Ends the link after what is queued, with `last` as its last message if there is one.
  void end(std::optional<Message> last) {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (last && !ended_) queue_.push_back(std::move(*last));
    ended_ = true;
    changed_.notify_one();
  }

  // Blocks for the next message; false: the link has ended.
  bool pop(Message& message) {
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait(lock, [this] { return ended_ || !queue_.empty(); });
    if (queue_.empty()) return false;
    message = std::move(queue_.front());
    queue_.pop_front();
    return true;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Message> queue_;
  bool ended_ = false;
};

}  // namespace seawall::controller
