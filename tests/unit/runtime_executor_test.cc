// The executor alone, with a Store that does what the test says: nothing is dropped, reordered or
// let go too early.
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "node/runtime/executor.h"
#include "tests/support/fake_store.h"
#include "tests/support/loopback.h"

namespace seawall::runtime {
namespace {

using seawall::testing::FakeStore;

class NullTransport final : public Transport {
 public:
  struct Sent {
    LinkId link;
    FrameHeader header;
    Slot payload;
  };
  LinkId dial(const Endpoint& endpoint, LinkUser&) override {
    dialled.push_back(endpoint.address);
    return LinkId{++last};
  }
  void adopt(LinkId, LinkUser&) override {}
  void send(LinkId link, const Frame& frame) override {
    sent.push_back({link, frame.header, frame.payload});
  }
  std::size_t queued_bytes(LinkId) const override { return queued; }
  void close(LinkId link) override { closed.push_back(link); }
  std::vector<std::string> dialled;
  std::vector<Sent> sent;
  std::vector<LinkId> closed;
  std::size_t queued = 0;
  std::uint64_t last = 0;
};

struct NotedSink final : wal::Sink, EventSink {
  void on_written(Lsn upto) override {
    written = upto;
    if (executor != nullptr) executor->on_written(upto);
  }
  void on_durable(Lsn upto) override { durable = upto; }
  void on_failed(Error) override {}
  void on_super_written(std::uint64_t token) override { supers.push_back(token); }
  void on_checkpointed(Lsn, Lsn) override {}
  void on_trim(Lsn, Lsn) override {}
  void on_log_space(std::uint8_t) override {}
  void feed(const Event& event) override {
    if (const auto* done = std::get_if<event::ReadDone>(&event)) reads.push_back(*done);
    if (const auto* done = std::get_if<event::LogStreamed>(&event)) streams.push_back(*done);
    if (const auto* done = std::get_if<event::RewindDone>(&event)) rewinds.push_back(*done);
    if (const auto* done = std::get_if<event::BaseFrozen>(&event)) frozen.push_back(*done);
  }
  Executor* executor = nullptr;
  std::optional<Lsn> written, durable;
  std::vector<std::uint64_t> supers;
  std::vector<event::ReadDone> reads;
  std::vector<event::LogStreamed> streams;
  std::vector<event::RewindDone> rewinds;
  std::vector<event::BaseFrozen> frozen;
};

struct NoLinkUser final : LinkUser {
  void on_connected(LinkId) override {}
  void on_frame(LinkId, const Frame&) override {}
  void on_closed(LinkId) override {}
};

struct ExecutorTest : ::testing::Test {
  ExecutorTest() {
    sink.executor = executor.get();
    EXPECT_TRUE(links.add(peer_link, Link{LinkState::from_replica, nullptr, {}, 0}));
  }

  RecordHeader record(std::uint64_t lsn, std::uint64_t blocks = 1) {
    RecordHeader header;
    header.lsn = Lsn{lsn};
    header.term = Term{1};
    header.lba = Lba{lsn};
    header.blocks = BlockCount{blocks};
    return header;
  }
  // What the Core does with a write: log, peer, and its own loan is over.
  Slot append(std::uint64_t lsn, bool send = false) {
    const Slot slot = pool.take(4096);
    run(command::AppendLog{record(lsn), slot});
    if (send) {
      message::Append message{record(lsn), slot, std::nullopt, std::nullopt, Instant{}};
      run(command::Send{peer_link, {}, message});
    }
    run(command::DropSlot{slot});
    return slot;
  }
  void run(const Command& command) {
    scratch->commands.clear();
    scratch->commands.push_back(command);
    executor->run(scratch->commands, clock.now());
  }
  void turn() { executor->turn(clock.now()); }
  std::vector<std::string> take_calls() { return std::exchange(store.calls, {}); }

  using Calls = std::vector<std::string>;

  seawall::testing::ManualClock clock;
  NullTransport transport;
  seawall::testing::ManualTimers timers;
  seawall::testing::QueuedBlocking blocking;
  seawall::testing::NotedControl control;
  BufferPool pool{8 * 1024 * 1024};
  std::unique_ptr<ShardScratch> scratch = std::make_unique<ShardScratch>();
  Shard shard{clock, transport, timers, blocking, control, pool, *scratch};
  NotedSink sink;
  FakeStore store{sink};
  LinkTable links{shard};
  NoLinkUser link_user;
  PeerDialer dialer{transport, link_user};
  std::unique_ptr<Executor> executor = std::make_unique<Executor>(
      shard, Executor::Self{VolumeId{1, 1}, ReplicaId{1}}, store, links, dialer, sink);
  const LinkId peer_link{77};
};

TEST_F(ExecutorTest, APayloadIsHeldUntilItsRecordIsWritten) {
  store.answers = false;
  append(1);
  turn();
  EXPECT_EQ(pool.in_use(), 1u);
  store.complete();
  EXPECT_EQ(sink.written, Lsn{1});
  EXPECT_EQ(pool.in_use(), 0u);
}

TEST_F(ExecutorTest, AFullLogHoldsRecordsBackAndKeepsTheirOrder) {
  store.answers = false;
  store.room = 2;
  for (std::uint64_t lsn = 1; lsn <= 5; ++lsn) append(lsn);
  run(command::FlushLog{});
  turn();
  EXPECT_EQ(take_calls(), (Calls{"append 1", "append 2", "flush"}));
  EXPECT_EQ(pool.in_use(), 5u);
  store.room = 1;
  turn();
  EXPECT_EQ(take_calls(), (Calls{"append 3", "flush"}))
      << "only what is durable can be folded and make room for the rest";
  store.room = 10;
  append(6);  // there is room again, but others wait before it
  turn();
  EXPECT_EQ(take_calls(), (Calls{"append 4", "append 5", "append 6", "flush"}))
      << "the flush covers what was held back when it was asked for";
  store.complete();
  EXPECT_EQ(pool.in_use(), 0u);
}

TEST_F(ExecutorTest, WhileTheLogIsRewoundWhatNeedsTheStoreWaitsInOrder) {
  store.answers = false;
  for (std::uint64_t lsn = 1; lsn <= 3; ++lsn) append(lsn);
  store.complete();
  take_calls();
  store.set_idle(false);
  run(command::RewindLog{Lsn{2}});
  append(3);
  run(command::WriteSuper{9, Epoch{4}, {}, {}, {}, false, false, {}});
  run(command::Send{peer_link, {}, message::MarkerCleared{}});
  turn();
  EXPECT_EQ(take_calls(), (Calls{"quiesce"})) << "it waits until the Store is idle";
  EXPECT_EQ(transport.sent.size(), 1u) << "what needs no Store goes on";
  store.set_idle(true);
  turn();
  EXPECT_TRUE(blocking.run_one());
  EXPECT_TRUE(sink.rewinds.empty());
  turn();
  ASSERT_EQ(sink.rewinds.size(), 1u);
  EXPECT_TRUE(sink.rewinds[0].ok);
  EXPECT_EQ(take_calls(), (Calls{"rewind 2", "append 3", "write_super 9"}));
  store.complete();
  EXPECT_EQ(pool.in_use(), 0u);
}

TEST_F(ExecutorTest, ARewindLetsGoOfWhatItCuts) {
  store.answers = false;
  store.room = 2;
  for (std::uint64_t lsn = 1; lsn <= 4; ++lsn) append(lsn);  // two with the Store, two held back
  run(command::RewindLog{Lsn{1}});
  turn();
  blocking.run_one();
  turn();
  EXPECT_EQ(pool.in_use(), 1u);  // record 1, not written yet
  EXPECT_EQ(store.log.size(), 1u);
  store.complete();
  EXPECT_EQ(pool.in_use(), 0u);
}

TEST_F(ExecutorTest, AReadWaitsForMemoryAndThenRuns) {
  std::vector<Slot> all;
  for (Slot slot = pool.take(1024 * 1024); slot != no_slot; slot = pool.take(1024 * 1024)) {
    all.push_back(slot);
  }
  run(command::ReadData{5, Lba{0}, BlockCount{2}});
  run(command::ReadData{6, Lba{8}, BlockCount{1}});
  turn();
  EXPECT_TRUE(take_calls().empty());
  EXPECT_TRUE(executor->wake_at(clock.now()).has_value()) << "nobody else tells of free memory";
  for (const Slot slot : all) pool.unref(slot);
  turn();
  turn();
  ASSERT_EQ(sink.reads.size(), 2u);
  EXPECT_EQ(sink.reads[0].token, 5u);
  EXPECT_EQ(sink.reads[1].token, 6u);
  EXPECT_EQ(pool.bytes(sink.reads[0].slot).size(), 8192u);
  run(command::DropSlot{sink.reads[0].slot});
  run(command::DropSlot{sink.reads[1].slot});
  EXPECT_EQ(pool.in_use(), 0u);
}

TEST_F(ExecutorTest, ABacklogIsReadFromTheLogAndSentInOrder) {
  for (std::uint64_t lsn = 1; lsn <= 10; ++lsn) append(lsn);
  turn();
  take_calls();
  command::StreamLog stream;
  stream.peer = ReplicaId{2};
  stream.link = peer_link;
  stream.session = {Epoch{1}, 3};
  stream.envelope.session = 3;
  stream.from = Lsn{4};
  stream.upto = Lsn{9};
  stream.max_bytes = 4 * 4096;
  transport.queued = StreamLane::queued_max + 1;
  run(stream);
  turn();
  EXPECT_TRUE(take_calls().empty()) << "the link has enough to send";
  transport.queued = 0;
  turn();
  turn();
  EXPECT_EQ(take_calls(), (Calls{"read_log 4"}));
  ASSERT_EQ(sink.streams.size(), 1u);
  EXPECT_TRUE(sink.streams[0].ok);
  EXPECT_EQ(sink.streams[0].upto, Lsn{7}) << "as many as max_bytes allows";
  ASSERT_EQ(transport.sent.size(), 4u);
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(transport.sent[i].header.type, FrameType::append);
    EXPECT_EQ(transport.sent[i].header.sequence, i + 1);
    EXPECT_EQ(transport.sent[i].header.payload_length, 4096u);
  }
  EXPECT_EQ(pool.in_use(), 0u);
}

TEST_F(ExecutorTest, ATrimmedBacklogEndsTheStreamWithAnError) {
  command::StreamLog stream;
  stream.peer = ReplicaId{2};
  stream.link = peer_link;
  stream.from = Lsn{4};
  stream.upto = Lsn{9};
  stream.max_bytes = 4096;
  run(stream);
  turn();
  turn();
  ASSERT_EQ(sink.streams.size(), 1u);
  EXPECT_FALSE(sink.streams[0].ok);
}

TEST_F(ExecutorTest, AFrozenBaseIsThawedWhenItsSessionEnds) {
  const SessionId session{Epoch{1}, 1};
  run(command::FreezeBase{ReplicaId{2}, session});
  turn();
  ASSERT_EQ(sink.frozen.size(), 1u);
  EXPECT_TRUE(sink.frozen[0].ok);
  EXPECT_EQ(store.freezes(), 1);
  run(command::ThawBase{ReplicaId{2}, session});
  turn();
  EXPECT_EQ(store.freezes(), 0);
  run(command::FreezeBase{ReplicaId{2}, {Epoch{2}, 1}});
  executor.reset();
  EXPECT_EQ(store.freezes(), 0) << "nor does it outlive its host";
}

TEST_F(ExecutorTest, I12_sessions_that_come_anew_while_a_disk_hangs_are_refused_in_the_end) {
  store.answers = false;
  for (std::uint64_t counter = 1; counter <= 40; ++counter) {
    const SessionId session{Epoch{1}, counter};
    run(command::FreezeBase{ReplicaId{2}, session});
    turn();
    ASSERT_EQ(sink.frozen.size(), counter);
    if (!sink.frozen.back().ok) break;
    command::CompareBase compare;
    compare.peer = ReplicaId{2};
    compare.session = session;
    compare.map.upto = Lba{16};
    run(compare);
    command::SendBase send;
    send.peer = ReplicaId{2};
    send.link = peer_link;
    send.session = session;
    send.extents_max = 1;
    run(send);
    turn();  // the read of the map begins, and never ends
    run(command::ThawBase{ReplicaId{2}, session});
    turn();
  }
  EXPECT_FALSE(sink.frozen.back().ok);
  store.answers = true;
  turn();
  turn();
  EXPECT_EQ(store.freezes(), 0);
  run(command::FreezeBase{ReplicaId{2}, {Epoch{1}, 100}});
  turn();
  EXPECT_TRUE(sink.frozen.back().ok);
}

TEST_F(ExecutorTest, ALinkThatEndedTakesNoFramesAndHangingUpTwiceDoesNoHarm) {
  run(command::HangUp{peer_link});
  run(command::HangUp{peer_link});
  EXPECT_EQ(transport.closed, std::vector<LinkId>{peer_link});
  run(command::Send{peer_link, {}, message::MarkerCleared{}});
  EXPECT_TRUE(transport.sent.empty());
}

TEST_F(ExecutorTest, ClosingWaitsForARewindThatRuns) {
  run(command::RewindLog{Lsn{}});
  turn();
  bool closed = false;
  executor->close(true, [&](Status status) { closed = status.has_value(); });
  EXPECT_TRUE(blocking.run_one());
  turn();
  turn();
  EXPECT_TRUE(blocking.run_one());
  turn();
  EXPECT_TRUE(closed);
  EXPECT_TRUE(sink.rewinds.empty()) << "nobody asks any more";
  EXPECT_EQ(take_calls(), (Calls{"quiesce", "rewind 0", "quiesce", "close clean"}));
}

// --- the dialler ---

TEST_F(ExecutorTest, APeerIsDialledWithGrowingPausesUntilItIsReached) {
  dialer.set_address(ReplicaId{2}, "b");
  dialer.dial(ReplicaId{2}, EndpointVersion{1}, clock.now());
  std::vector<std::uint64_t> pauses;
  for (int i = 0; i < 8; ++i) {
    ASSERT_EQ(transport.dialled.size(), static_cast<std::size_t>(i + 1));
    dialer.closed(LinkId{transport.last}, clock.now());
    ASSERT_TRUE(dialer.wake_at().has_value());
    const Duration pause = *dialer.wake_at() - clock.now();
    pauses.push_back(pause.value());
    clock.advance(pause);
    dialer.turn(clock.now());
  }
  EXPECT_EQ(pauses, (std::vector<std::uint64_t>{50, 100, 200, 400, 800, 1000, 1000, 1000}));
  EXPECT_EQ(dialer.connected(LinkId{transport.last}), ReplicaId{2});
  EXPECT_FALSE(dialer.wake_at().has_value());
  dialer.stop(ReplicaId{2});
  dialer.closed(LinkId{transport.last}, clock.now());
  EXPECT_FALSE(dialer.wake_at().has_value()) << "nobody wants it any more";
}

TEST_F(ExecutorTest, AnAttemptThatNobodyAnswersIsGivenUp) {
  dialer.set_address(ReplicaId{2}, "b");
  dialer.dial(ReplicaId{2}, EndpointVersion{1}, clock.now());
  clock.advance(PeerDialer::attempt_max);
  dialer.turn(clock.now());
  EXPECT_EQ(transport.closed.size(), 1u);
  clock.advance(Duration{50});
  dialer.turn(clock.now());
  EXPECT_EQ(transport.dialled.size(), 2u);
}

}  // namespace
}  // namespace seawall::runtime
