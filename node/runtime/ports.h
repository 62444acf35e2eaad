// Ports of the executor: what the operating system, or the simulator, gives to it.
//
// All calls come from, and all callbacks go to, the one thread that owns the shard. No callback
// runs inside a call. Injected by reference, no globals.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>

#include "engine/base/ids.h"
#include "engine/base/result.h"
#include "node/runtime/buffer_pool.h"
#include "node/runtime/frame.h"

namespace seawall::runtime {

// Monotonic time that counts suspends.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual Instant now() const = 0;
};

// host:port, or unix:/path. A hint: identity is proven in the handshake.
struct Endpoint {
  std::string address;
  friend bool operator==(const Endpoint&, const Endpoint&) = default;
};

// The user of a link. A refused or lost connection ends in on_closed, exactly once, unless the user
// itself closed the link; then nothing follows.
class LinkUser {
 public:
  virtual ~LinkUser() = default;
  virtual void on_connected(LinkId link) = 0;
  // The state x type table, asked when a header has passed its checks and before a byte of its
  // payload takes memory. False: the link is closed, and on_closed follows.
  virtual bool admits(LinkId /*link*/, FrameType /*type*/) const { return true; }
  // Whole, verified frame (header and payload CRC). The payload slot's reference is the receiver's.
  virtual void on_frame(LinkId link, const Frame& frame) = 0;
  virtual void on_closed(LinkId link) = 0;
};

// Ordered, reliable byte streams between nodes, cut into frames. What was sent may be lost from any
// point on when a link ends; a link never skips, repeats or reorders frames.
class Transport {
 public:
  virtual ~Transport() = default;
  virtual LinkId dial(const Endpoint& endpoint, LinkUser& user) = 0;
  // Hands an accepted link to its user after its first frame named the volume.
  virtual void adopt(LinkId link, LinkUser& user) = 0;
  // Queues a frame; takes a reference on frame.payload until it has left. Frames queued in one loop
  // turn leave in one send.
  virtual void send(LinkId link, const Frame& frame) = 0;
  virtual std::size_t queued_bytes(LinkId link) const = 0;
  virtual void close(LinkId link) = 0;
};

// Runs work that blocks (opening, rewind, rebuild preparation) away from the shard; `done` runs on
// the shard. The simulator runs both in place, at a moment it chooses.
class Blocking {
 public:
  virtual ~Blocking() = default;
  virtual void run(std::function<void()> work, std::function<void()> done) = 0;
};

// Asks the shard's loop to call the owner again. Deadlines are milliseconds of Clock.
class Timers {
 public:
  virtual ~Timers() = default;
  // One deadline a user: a call replaces the one before it, be it earlier or later; firing ends it.
  virtual void wake_at(class TimerUser& user, Instant at) = 0;
  virtual void cancel(class TimerUser& user) = 0;
};

class TimerUser {
 public:
  virtual ~TimerUser() = default;
  virtual void on_timer(Instant now) = 0;
};

}  // namespace seawall::runtime
