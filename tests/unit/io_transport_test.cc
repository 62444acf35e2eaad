#include "node/io/tcp_transport.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <deque>

#include "tests/support/io_loop.h"
#include "wal/crc32c.h"

namespace seawall::io {
namespace {

using runtime::BufferPool;
using runtime::Frame;
using runtime::FrameHeader;
using runtime::FrameType;
using testing::Loops;
using testing::ScratchDirectory;
using wal::crc32c;

constexpr VolumeId kVolume{7, 9};

struct Received {
  FrameHeader header;
  std::vector<std::byte> meta;
  std::vector<std::byte> payload;
};

// A user that keeps copies of what it got and gives the slots back.
class Recorder : public runtime::LinkUser, public LinkGreeter {
 public:
  explicit Recorder(BufferPool& pool) : pool_(pool) {}
  void on_connected(LinkId) override { ++connected; }
  void on_frame(LinkId id, const Frame& frame) override {
    note(frame);
    if (close_on_frame != nullptr) close_on_frame->close(id);
    if (hold) {
      held.push_back(frame.payload);
    } else if (frame.payload != no_slot) {
      pool_.unref(frame.payload);
    }
  }
  void on_closed(LinkId) override { ++closed; }
  bool admits(LinkId, FrameType type) const override { return type != refused; }
  void on_first_frame(LinkId id, const Frame& frame) override {
    note(frame);
    link = id;
    if (transport != nullptr) transport->adopt(id, *this);
  }
  void release_held() {
    for (const Slot slot : held) {
      if (slot != no_slot) pool_.unref(slot);
    }
    held.clear();
  }

  int connected = 0, closed = 0;
  LinkId link;
  TcpTransport* transport = nullptr;
  TcpTransport* close_on_frame = nullptr;
  FrameType refused = FrameType::primary_is;
  bool hold = false;
  std::vector<Slot> held;
  std::vector<Received> frames;

 private:
  void note(const Frame& frame) {
    Received got{frame.header, {frame.meta.begin(), frame.meta.end()}, {}};
    if (frame.payload != no_slot) {
      const auto bytes = pool_.bytes(frame.payload);
      got.payload.assign(bytes.begin(), bytes.end());
      EXPECT_EQ(pool_.crcs(frame.payload)[0], crc32c(bytes.first(4096)));
    }
    frames.push_back(std::move(got));
  }
  BufferPool& pool_;
};

Frame frame_of(FrameType type, std::uint64_t sequence, std::span<const std::byte> meta = {}) {
  Frame frame;
  frame.header.type = type;
  frame.header.volume = kVolume;
  frame.header.sequence = sequence;
  frame.header.meta_length = static_cast<std::uint16_t>(meta.size());
  frame.meta = meta;
  return frame;
}

// One end of a wire: a shard with its pool and transport.
struct End {
  End(Reactor& reactor, std::size_t pool_bytes, unsigned shard, std::size_t queue = 64 << 20)
      : pool(pool_bytes), user(pool),
        transport(reactor, pool, user, {.source = parse_address("127.0.0.1:0").value(),
                                        .connect_deadline = Duration{300},
                                        .queue_bytes_max = queue,
                                        .shard = shard}) {
    user.transport = &transport;
  }
  BufferPool pool;
  Recorder user;
  TcpTransport transport;
};

class IoTransport : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override { build(8 << 20); }
  void build(std::size_t pool_bytes, std::size_t queue = 64 << 20) {
    TearDown();
    near_ = std::make_unique<End>(loops_[0], 8 << 20, 0, queue);
    far_ = std::make_unique<End>(loops_[1], pool_bytes, 1);
    const std::string text = std::string(GetParam()) == "unix" ? "unix:" + (scratch_ / "s")
                                                               : "127.0.0.1:0";
    auto made = Acceptor::create(loops_[1], parse_address(text).value(), Duration{150},
                                 [this](VolumeId volume, AcceptedLink link) {
                                   EXPECT_EQ(volume, kVolume);
                                   far_->transport.take(std::move(link));
                                 });
    ASSERT_TRUE(made.has_value()) << made.error().what;
    acceptor_ = std::move(made).value();
    acceptor_->start();
    endpoint_ = {acceptor_->address().to_string()};
  }
  void TearDown() override {
    if (near_ == nullptr) return;
    far_->user.release_held();
    acceptor_.reset();
    near_->transport.close(link_);
    far_->transport.close(far_->user.link);
    EXPECT_TRUE(loops_.drain());
    EXPECT_EQ(near_->pool.in_use(), 0U);
    EXPECT_EQ(far_->pool.in_use(), 0U);
    near_.reset();
    far_.reset();
    EXPECT_TRUE(loops_.drain());
  }
  void connect() {
    link_ = near_->transport.dial(endpoint_, near_->user);
    EXPECT_EQ(near_->user.connected, 0) << "no callback inside a call";
    ASSERT_TRUE(loops_.run_until([&] { return near_->user.connected == 1; }));
    near_->transport.send(link_, frame_of(FrameType::hello, 1));
    ASSERT_TRUE(loops_.run_until([&] { return far_->user.frames.size() == 1; }));
    far_->user.frames.clear();
  }
  // A payload frame whose bytes depend on `seed`.
  void send_payload(std::uint64_t seed, std::size_t blocks, bool corrupt = false) {
    const Slot slot = near_->pool.take(blocks * 4096);
    ASSERT_NE(slot, no_slot);
    auto bytes = near_->pool.bytes(slot);
    for (std::size_t i = 0; i < bytes.size(); ++i) {
      bytes[i] = static_cast<std::byte>((seed * 131 + i * 7 + i / 4096) & 0xff);
    }
    std::vector<std::uint32_t> crcs(blocks);
    for (std::size_t i = 0; i < blocks; ++i) crcs[i] = crc32c(bytes.subspan(i * 4096, 4096));
    if (corrupt) crcs.back() ^= 1;
    std::vector<std::byte> meta(blocks * 4 + 3, std::byte{0x42});
    std::memcpy(meta.data(), crcs.data(), blocks * 4);
    Frame frame = frame_of(FrameType::append, seed, meta);
    frame.header.payload_length = static_cast<std::uint32_t>(blocks * 4096);
    frame.payload = slot;
    near_->transport.send(link_, frame);
    near_->pool.unref(slot);  // the transport holds its own reference until the kernel is done
  }
  int raw() {
    const auto address = parse_address(endpoint_.address).value();
    const int fd = ::socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC, 0);
    EXPECT_EQ(::connect(fd, address.get(), address.length), 0);
    return fd;
  }

  Loops loops_{2};
  ScratchDirectory scratch_;
  std::unique_ptr<End> near_, far_;
  std::unique_ptr<Acceptor> acceptor_;
  runtime::Endpoint endpoint_;
  LinkId link_;
};

INSTANTIATE_TEST_SUITE_P(Sockets, IoTransport, ::testing::Values("tcp", "unix"),
                         [](const auto& socket) { return std::string(socket.param); });

TEST_P(IoTransport, Frames_arrive_whole_in_order_with_their_payloads) {
  connect();
  std::vector<std::size_t> sizes = {1, 2, 256, 1, 1, 17, 256, 3};
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    send_payload(i, sizes[i]);
    near_->transport.send(link_, frame_of(FrameType::heartbeat, 1000 + i));
  }
  ASSERT_TRUE(loops_.run_until([&] { return far_->user.frames.size() == 2 * sizes.size(); }));
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    const Received& got = far_->user.frames[2 * i];
    ASSERT_EQ(got.header.sequence, i);
    ASSERT_EQ(got.payload.size(), sizes[i] * 4096);
    for (std::size_t at = 0; at < got.payload.size(); ++at) {
      ASSERT_EQ(got.payload[at], static_cast<std::byte>((i * 131 + at * 7 + at / 4096) & 0xff));
    }
    EXPECT_EQ(far_->user.frames[2 * i + 1].header.sequence, 1000 + i);
  }
  EXPECT_EQ(near_->transport.queued_bytes(link_), 0U);
}

TEST_P(IoTransport, Frames_of_one_pass_leave_in_one_send) {
  connect();
  const std::uint64_t before = loops_[0].stats().submitted;
  for (int i = 0; i < 20; ++i) send_payload(static_cast<std::uint64_t>(i), 1);
  ASSERT_TRUE(loops_.run_until([&] { return far_->user.frames.size() == 20; }));
  EXPECT_EQ(loops_[0].stats().submitted - before, 1U);
}

TEST_P(IoTransport, The_accepting_side_answers_on_the_same_link) {
  connect();
  const std::byte meta[] = {std::byte{1}, std::byte{2}, std::byte{3}};
  far_->transport.send(far_->user.link, frame_of(FrameType::hello_reply, 5, meta));
  ASSERT_TRUE(loops_.run_until([&] { return near_->user.frames.size() == 1; }));
  EXPECT_EQ(near_->user.frames[0].meta.size(), 3U);
}

TEST_P(IoTransport, A_full_pool_is_back_pressure_and_loses_nothing) {
  build(1 << 20);  // the receiver has room for one MiB
  connect();
  far_->user.hold = true;
  for (std::uint64_t i = 0; i < 8; ++i) send_payload(i, 64);
  ASSERT_TRUE(loops_.run_until([&] { return far_->transport.counters().parked > 0; }));
  EXPECT_EQ(far_->user.frames.size(), 4U);
  far_->user.release_held();
  ASSERT_TRUE(loops_.run_until([&] { return far_->user.frames.size() == 8; }));
  for (std::uint64_t i = 0; i < 8; ++i) EXPECT_EQ(far_->user.frames[i].header.sequence, i);
  EXPECT_EQ(far_->user.closed, 0);
}

TEST_P(IoTransport, A_payload_that_does_not_fit_its_crc_ends_the_link) {
  connect();
  send_payload(1, 3);
  send_payload(2, 3, true);
  send_payload(3, 3);
  ASSERT_TRUE(loops_.run_until([&] { return far_->user.closed == 1; }));
  EXPECT_EQ(far_->user.frames.size(), 1U);
  EXPECT_EQ(far_->transport.counters().bad_payload, 1U);
  ASSERT_TRUE(loops_.run_until([&] { return near_->user.closed == 1; }));
}

TEST_P(IoTransport, A_frame_that_the_user_does_not_admit_takes_no_memory) {
  connect();
  far_->user.refused = FrameType::append;
  send_payload(1, 256);
  ASSERT_TRUE(loops_.run_until([&] { return far_->user.closed == 1; }));
  EXPECT_EQ(far_->transport.counters().not_admitted, 1U);
  EXPECT_EQ(far_->pool.in_use(), 0U);
}

TEST_P(IoTransport, A_user_may_close_its_link_while_it_looks_at_a_frame) {
  connect();
  far_->user.close_on_frame = &far_->transport;
  send_payload(1, 2);
  send_payload(2, 2);
  ASSERT_TRUE(loops_.run_until([&] { return near_->user.closed == 1; }));
  EXPECT_EQ(far_->user.frames.size(), 1U);
  EXPECT_EQ(far_->user.closed, 0) << "who closes hears nothing";
}

TEST_P(IoTransport, What_was_queued_before_a_close_still_leaves) {
  connect();
  far_->transport.send(far_->user.link, frame_of(FrameType::nack, 77));
  far_->transport.close(far_->user.link);
  ASSERT_TRUE(loops_.run_until([&] { return near_->user.closed == 1; }));
  ASSERT_EQ(near_->user.frames.size(), 1U);
  EXPECT_EQ(near_->user.frames[0].header.sequence, 77U);
}

TEST_P(IoTransport, A_queue_beyond_its_bound_ends_the_link) {
  build(8 << 20, 2 << 20);
  connect();
  far_->user.hold = true;
  for (std::uint64_t i = 0; i < 40 && near_->user.closed == 0; ++i) {
    if (near_->pool.free_bytes() > (2U << 20)) send_payload(i, 256);
    loops_.pass();
  }
  ASSERT_TRUE(loops_.run_until([&] { return near_->transport.counters().overrun > 0 ||
                                            near_->user.closed == 1; }));
}

TEST_P(IoTransport, Half_a_first_frame_is_dropped_at_the_deadline) {
  const int fd = raw();
  const auto hello = [] {
    std::array<std::byte, 64> bytes{};
    runtime::encode_header(frame_of(FrameType::hello, 1).header, {}, std::span(bytes));
    return bytes;
  }();
  ASSERT_EQ(::send(fd, hello.data(), 40, 0), 40);
  ASSERT_TRUE(loops_.run_until([&] { return acceptor_->counters().late == 1; }));
  char end = 0;
  EXPECT_LE(::recv(fd, &end, 1, 0), 0);
  EXPECT_EQ(far_->transport.links(), 0U);
  ::close(fd);
}

TEST_P(IoTransport, Garbage_first_bytes_are_dropped_and_counted) {
  std::uint64_t state = 12345;
  for (int round = 0; round < 30; ++round) {
    const int fd = raw();
    std::array<std::byte, 300> noise{};
    for (auto& byte : noise) {
      state = state * 6364136223846793005ULL + 1442695040888963407ULL;
      byte = static_cast<std::byte>(state >> 56);
    }
    if (round % 3 == 1) std::memcpy(noise.data(), "GET / HTTP/1.1\r\n\r\n", 18);
    ASSERT_EQ(::send(fd, noise.data(), noise.size(), MSG_NOSIGNAL), 300);
    const auto want = static_cast<std::uint64_t>(round + 1);
    ASSERT_TRUE(loops_.run_until([&] { return acceptor_->counters().garbage == want; }));
    ::close(fd);
  }
  connect();  // and it still works
}

TEST_P(IoTransport, More_silent_connections_than_allowed_push_out_the_oldest) {
  std::vector<int> fds;
  for (std::size_t i = 0; i < Acceptor::kGreetingsMax + 10; ++i) {
    fds.push_back(raw());
    loops_.pass();
  }
  ASSERT_TRUE(loops_.run_until([&] {
    const auto counters = acceptor_->counters();
    return counters.crowded + counters.late >= 10;
  }));
  for (const int fd : fds) ::close(fd);
}

TEST_P(IoTransport, Garbage_after_a_good_first_frame_ends_only_that_link) {
  const int fd = raw();
  std::array<std::byte, 64> hello{};
  runtime::encode_header(frame_of(FrameType::hello, 1).header, {}, std::span(hello));
  ASSERT_EQ(::send(fd, hello.data(), hello.size(), 0), 64);
  ASSERT_TRUE(loops_.run_until([&] { return far_->user.frames.size() == 1; }));
  std::array<std::byte, 64> noise{};
  noise.fill(std::byte{0xa5});
  ASSERT_EQ(::send(fd, noise.data(), noise.size(), MSG_NOSIGNAL), 64);
  ASSERT_TRUE(loops_.run_until([&] { return far_->user.closed == 1; }));
  EXPECT_EQ(far_->transport.counters().bad_header, 1U);
  ::close(fd);
  far_->user.frames.clear();
  connect();
}

TEST_P(IoTransport, A_peer_that_dies_in_the_middle_of_a_payload_is_one_close) {
  const int fd = raw();
  std::array<std::byte, 64> bytes{};
  runtime::encode_header(frame_of(FrameType::hello, 1).header, {}, std::span(bytes));
  ASSERT_EQ(::send(fd, bytes.data(), 64, 0), 64);
  std::vector<std::byte> meta(256 * 4);
  Frame append = frame_of(FrameType::append, 2, meta);
  append.header.payload_length = 1 << 20;
  runtime::encode_header(append.header, meta, std::span(bytes));
  ASSERT_EQ(::send(fd, bytes.data(), 64, 0), 64);
  ASSERT_EQ(::send(fd, meta.data(), meta.size(), 0), static_cast<ssize_t>(meta.size()));
  std::vector<std::byte> part(100'000);
  ASSERT_TRUE(loops_.run_until([&] { return far_->pool.in_use() == 1; }));
  ::fcntl(fd, F_SETFL, O_NONBLOCK);
  ASSERT_GT(::send(fd, part.data(), part.size(), MSG_NOSIGNAL), 0);
  loops_.pass();
  ::close(fd);
  ASSERT_TRUE(loops_.run_until([&] { return far_->user.closed == 1; }));
  ASSERT_TRUE(loops_.run_until([&] { return far_->pool.in_use() == 0; }));
  EXPECT_EQ(far_->user.frames.size(), 1U);
}

TEST_P(IoTransport, A_refused_or_senseless_dial_ends_in_one_close) {
  for (const char* text : {"127.0.0.1:1", "unix:/nonexistent/socket", "localhost:12", "nonsense"}) {
    near_->user.closed = 0;
    near_->transport.dial({text}, near_->user);
    EXPECT_EQ(near_->user.closed, 0) << text;
    ASSERT_TRUE(loops_.run_until([&] { return near_->user.closed == 1; })) << text;
  }
  EXPECT_EQ(near_->transport.links(), 0U);
}

TEST_P(IoTransport, A_dial_that_is_closed_before_it_connects_says_nothing) {
  const LinkId id = near_->transport.dial(endpoint_, near_->user);
  near_->transport.close(id);
  for (int i = 0; i < 20; ++i) loops_.pass();
  EXPECT_EQ(near_->user.connected, 0);
  EXPECT_EQ(near_->user.closed, 0);
}

TEST(IoSocketAddress, Text_and_address_are_the_same_thing) {
  for (const char* text : {"127.0.0.1:7000", "[::1]:80", "unix:/tmp/x"}) {
    EXPECT_EQ(parse_address(text).value().to_string(), text);
    EXPECT_TRUE(parse_address(text).value().is_local());
  }
  EXPECT_FALSE(parse_address("10.0.0.1:7000").value().is_local());
  EXPECT_FALSE(parse_address("0.0.0.0:7000").value().is_local());
  for (const char* text : {"", "7000", "127.0.0.1", "127.0.0.1:x", "127.0.0.1:70000", "host:1",
                           "unix:", "127.0.0.1:"}) {
    EXPECT_FALSE(parse_address(text).has_value()) << text;
  }
}

TEST(IoSocketAddress, An_address_in_use_is_busy_and_a_dead_socket_file_is_not) {
  ScratchDirectory scratch;
  const int first = listen_on(parse_address("127.0.0.1:0").value()).value();
  EXPECT_EQ(listen_on(bound_address(first).value()).error().code, Errc::busy);
  ::close(first);
  const auto path = parse_address("unix:" + (scratch / "s")).value();
  const int second = listen_on(path).value();
  EXPECT_EQ(listen_on(path).error().code, Errc::busy);
  ::close(second);
  const auto third = listen_on(path);
  ASSERT_TRUE(third.has_value()) << "the file of a dead process is replaced";
  ::close(*third);
}

}  // namespace
}  // namespace seawall::io
