// The simulated network keeps TCP's promises, and no others.
#include "sim/network.h"

#include <gtest/gtest.h>

#include <optional>
#include <vector>

#include "wal/crc32c.h"

namespace seawall::sim {
namespace {

struct User final : runtime::LinkUser {
  void on_connected(LinkId) override { ++connected; }
  void on_frame(LinkId, const runtime::Frame& frame) override {
    sequences.push_back(frame.header.sequence);
    if (frame.payload != no_slot) {
      ++payloads;
      if (pool != nullptr) pool->unref(frame.payload);
    }
  }
  void on_closed(LinkId) override { ++closed; }
  int connected = 0;
  int closed = 0;
  int payloads = 0;
  std::vector<std::uint64_t> sequences;
  runtime::BufferPool* pool = nullptr;
};

struct Node {
  Node(Scheduler& scheduler, Network& network, NodeNumber number)
      : pool(4 << 20), owner(scheduler.new_owner()), transport(network, number, owner, pool) {
    network.set_address(number, "n" + std::to_string(number));
    network.set_powered(number, true);
    user.pool = &pool;
    transport.listen([this](LinkId link, const runtime::Frame& first) {
      transport.adopt(link, user);
      accepted = link;
      user.on_frame(link, first);
    });
  }
  ~Node() {
    if (!dead) transport.die(false);
  }
  void die(Scheduler& scheduler, bool power_lost) {
    transport.die(power_lost);
    scheduler.kill(owner);
    dead = true;
  }
  runtime::BufferPool pool;
  Owner owner;
  NodeTransport transport;
  User user;
  LinkId accepted;
  bool dead = false;
};

class SimNetwork : public testing::Test {
 protected:
  void run(Micros until = ~Micros{0}) {
    while (scheduler_.next_time() <= until && scheduler_.step()) {
    }
  }
  void send(Node& from, LinkId link, std::uint64_t sequence, std::size_t payload = 0) {
    runtime::Frame frame;
    frame.header.type = runtime::FrameType::hello;
    frame.header.volume = VolumeId{1, 2};
    frame.header.sequence = sequence;
    std::vector<std::byte> meta;
    if (payload > 0) {
      frame.header.type = runtime::FrameType::append;
      frame.payload = from.pool.take(payload);
      ASSERT_NE(frame.payload, no_slot);
      frame.header.payload_length = static_cast<std::uint32_t>(payload);
      for (std::size_t at = 0; at < payload; at += 4096) {
        const std::uint32_t crc = wal::crc32c(from.pool.bytes(frame.payload).subspan(at, 4096));
        for (int i = 0; i < 4; ++i) meta.push_back(static_cast<std::byte>(crc >> (8 * i)));
      }
    }
    frame.header.meta_length = static_cast<std::uint16_t>(meta.size());
    frame.meta = meta;
    from.transport.send(link, frame);
    if (frame.payload != no_slot) from.pool.unref(frame.payload);
  }
  LinkId connect(Node& from, const char* to) {
    const LinkId link = from.transport.dial(runtime::Endpoint{to}, from.user);
    run(scheduler_.now() + 20 * ms);
    EXPECT_EQ(from.user.connected, 1);
    return link;
  }

  Scheduler scheduler_;
  Trace trace_{false};
  Network network_{scheduler_, trace_, Prng(7)};
  Node a_{scheduler_, network_, 1};
  Node b_{scheduler_, network_, 2};
};

TEST_F(SimNetwork, F14_frames_arrive_once_and_in_order_however_the_stream_is_cut) {
  NetworkOptions options;
  options.chunk_bytes_max = 37;
  options.spike = percent(5);
  network_.set_options(options);
  const LinkId link = connect(a_, "n2");
  std::vector<std::uint64_t> wanted;
  for (std::uint64_t i = 1; i <= 200; ++i) {
    send(a_, link, i, i % 10 == 0 ? 8192 : 0);
    wanted.push_back(i);
  }
  run();
  EXPECT_EQ(b_.user.sequences, wanted);
  EXPECT_EQ(b_.user.payloads, 20);
  EXPECT_EQ(a_.pool.in_use(), 0u);
  EXPECT_EQ(b_.pool.in_use(), 0u);
}

TEST_F(SimNetwork, F14_a_reset_loses_a_suffix_and_tells_both_sides_once) {
  NetworkOptions options;
  options.chunk_bytes_max = 100;
  options.cut = percent(3);
  network_.set_options(options);
  const LinkId link = connect(a_, "n2");
  for (std::uint64_t i = 1; i <= 500; ++i) send(a_, link, i);
  run();
  ASSERT_LT(b_.user.sequences.size(), 500u);
  for (std::size_t i = 0; i < b_.user.sequences.size(); ++i) {
    EXPECT_EQ(b_.user.sequences[i], i + 1);
  }
  EXPECT_EQ(a_.user.closed, 1);
  EXPECT_EQ(b_.user.closed, b_.user.sequences.empty() ? 0 : 1);
  EXPECT_EQ(network_.open_streams(), 0u);
}

TEST_F(SimNetwork, F09_a_flipped_bit_is_never_delivered) {
  NetworkOptions options;
  options.chunk_bytes_max = 3000;
  options.flip = percent(20);
  network_.set_options(options);
  const LinkId link = connect(a_, "n2");
  for (std::uint64_t i = 1; i <= 50; ++i) send(a_, link, i, i == 1 ? 0 : 4096);
  run();
  EXPECT_GT(network_.stats().flips, 0u);
  for (std::size_t i = 0; i < b_.user.sequences.size(); ++i) {
    EXPECT_EQ(b_.user.sequences[i], i + 1);
  }
  EXPECT_EQ(a_.user.closed, 1);
}

TEST_F(SimNetwork, F15_a_held_direction_delivers_after_healing) {
  const LinkId link = connect(a_, "n2");
  send(a_, link, 1);
  run(scheduler_.now() + 20 * ms);
  network_.hold(1, 2);
  send(a_, link, 2);
  send(b_, b_.accepted, 9);
  run(scheduler_.now() + 100 * ms);
  EXPECT_EQ(b_.user.sequences.size(), 1u);
  EXPECT_EQ(a_.user.sequences.size(), 1u) << "the other direction is open";
  network_.release(1, 2);
  run();
  EXPECT_EQ(b_.user.sequences, (std::vector<std::uint64_t>{1, 2}));
}

TEST_F(SimNetwork, F15_a_sender_gives_up_in_a_long_partition_and_the_receiver_stays_half_open) {
  const LinkId link = connect(a_, "n2");
  send(a_, link, 1);
  run(scheduler_.now() + 20 * ms);
  network_.hold(1, 2);
  send(a_, link, 2);
  run();
  EXPECT_EQ(a_.user.closed, 1);
  EXPECT_EQ(b_.user.closed, 0);
  network_.release(1, 2);
  send(b_, b_.accepted, 3);
  run();
  EXPECT_EQ(b_.user.closed, 1);
  EXPECT_EQ(b_.user.sequences, (std::vector<std::uint64_t>{1}));
}

TEST_F(SimNetwork, AProcessThatDiesClosesItsStreamsAMachineWithoutPowerDoesNot) {
  const LinkId link = connect(a_, "n2");
  send(a_, link, 1);
  run(scheduler_.now() + 20 * ms);
  b_.die(scheduler_, true);
  run(scheduler_.now() + 100 * ms);
  EXPECT_EQ(a_.user.closed, 0);
  send(a_, link, 2);
  run();
  EXPECT_EQ(a_.user.closed, 1) << "the machine is back without the stream: reset";
}

TEST_F(SimNetwork, DiallingNobodyEndsInOneClose) {
  a_.transport.dial(runtime::Endpoint{"nowhere"}, a_.user);
  run();
  EXPECT_EQ(a_.user.connected, 0);
  EXPECT_EQ(a_.user.closed, 1);
}

TEST_F(SimNetwork, AfterTheOwnerClosedNothingFollows) {
  const LinkId link = connect(a_, "n2");
  send(a_, link, 1);
  a_.transport.close(link);
  run();
  EXPECT_EQ(b_.user.sequences, (std::vector<std::uint64_t>{1}));
  EXPECT_EQ(b_.user.closed, 1);
  EXPECT_EQ(a_.user.closed, 0);
}

}  // namespace
}  // namespace seawall::sim
