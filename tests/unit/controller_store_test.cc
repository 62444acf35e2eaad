// The contract of a store, the same for every implementation; and what a file can suffer.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <memory>

#include "controller/store/codec.h"
#include "controller/store/memory_store.h"
#include "controller/store/runner.h"
#include "controller/store/sqlite_store.h"

namespace seawall::controller {
namespace {

VolumeRecord sample(std::uint64_t number) {
  VolumeRecord record;
  record.name = "volume-" + std::to_string(number);
  record.id = VolumeId{~0ULL, number};
  record.incarnation = Incarnation{5, number};
  record.state = VolumeState::ready;
  record.create_operation = "op";
  record.reason = "none";
  record.epoch = Epoch(3);
  record.pending = Epoch(4);
  record.revision = Revision(9);
  record.config.members = {ReplicaId(1), ReplicaId(2), ReplicaId(~0ULL)};
  record.config.in_sync = {ReplicaId(1), ReplicaId(2)};
  record.config.policy = Policy::in_sync;
  record.config.min_in_sync = 2;
  record.config.write_cache = WriteCache::none;
  record.size = BlockCount(1234);
  record.log_bytes = 64 * limits::MiB;
  record.io_timeout_ms = 30'000;
  record.replicas = {{ReplicaId(1), NodeId(~0ULL), EndpointVersion(2), "127.0.0.1:1"},
                     {ReplicaId(2), NodeId(7), EndpointVersion(1), "unix:/x"}};
  record.primary = ReplicaId(2);
  record.winner_start = ProcessStart(~0ULL);
  record.primary_node_start = ProcessStart(77);
  record.winner_position = Position{Term(2), Lsn(55)};
  record.after_power_loss = true;
  record.last_generation = AttachmentId(6);
  record.attachments = {{AttachmentId(6), NodeId(7), ProcessStart(77)}};
  record.detach_operation = "d";
  record.wish = record.config;
  record.wish->in_sync.clear();
  record.change_operation = "c";
  record.retired = {{ReplicaId(9), NodeId(8), EndpointVersion(1), "127.0.0.1:9"}};
  record.replicas.front().told = OpeningTold{ProcessStart(~0ULL), 17, Lsn(500), Lsn(400)};
  record.replicas_made = 4;
  record.left_out = {{ReplicaId(10), NodeId(9), EndpointVersion(1), "127.0.0.1:10"}};
  record.move = MoveOrder{ReplicaId(1), "m"};
  record.force = ForceOrder{{ReplicaId(1)}, "f", "who", "why", 9, true};
  record.forced =
      ForceOutcome{*record.force, Epoch(3), {Term(2), Lsn(5)}, Position{Term(3), Lsn(1)}};
  return record;
}

VolumeRecord later(VolumeRecord record) {
  record.revision = Revision(record.revision.value() + 1);
  return record;
}

ChangeEvent event_of(const VolumeRecord& record, const std::string& type) {
  return ChangeEvent{record.id, record.greatest_epoch(), record.revision, type, "k=v"};
}

struct Memory {
  std::unique_ptr<Store> open() { return std::make_unique<MemoryStore>(); }
};

struct Sqlite {
  std::filesystem::path directory =
      std::filesystem::temp_directory_path() / ("seawall-store-" + std::to_string(::getpid()));
  std::string detail;
  Sqlite() {
    std::filesystem::remove_all(directory);
    std::filesystem::create_directories(directory);
  }
  ~Sqlite() { std::filesystem::remove_all(directory); }
  std::string path() const { return (directory / "store.db").string(); }
  Result<std::unique_ptr<SqliteStore>> try_open() { return SqliteStore::open(path(), &detail); }
  std::unique_ptr<Store> open() {
    auto store = try_open();
    EXPECT_TRUE(store.has_value()) << detail;
    return std::move(*store);
  }
};

template <class Kind>
class StoreContract : public ::testing::Test {
 protected:
  Kind kind;
  std::unique_ptr<Store> store = kind.open();

  StoreOutcome put(const std::optional<Version>& expected, const VolumeRecord& record) {
    return store->compare_and_set(record.id, expected, record, event_of(record, "changed"));
  }
};

using Kinds = ::testing::Types<Memory, Sqlite>;
TYPED_TEST_SUITE(StoreContract, Kinds);

TYPED_TEST(StoreContract, a_record_reads_back_as_it_was_written) {
  const VolumeRecord record = sample(1);
  EXPECT_EQ(this->put(std::nullopt, record), StoreOutcome::committed);
  EXPECT_EQ(this->store->volume(record.id).value(), record);
  EXPECT_EQ(this->store->volume(VolumeId{1, 1}).value(), std::nullopt);
}

TYPED_TEST(StoreContract, a_record_that_is_there_is_not_created_again) {
  const VolumeRecord record = sample(1);
  EXPECT_EQ(this->put(std::nullopt, record), StoreOutcome::committed);
  EXPECT_EQ(this->put(std::nullopt, later(record)), StoreOutcome::conflict);
  EXPECT_EQ(this->store->volume(record.id).value(), record);
}

TYPED_TEST(StoreContract, a_change_needs_the_very_epoch_and_revision) {
  const VolumeRecord record = sample(1);
  EXPECT_EQ(this->put(record.version(), record), StoreOutcome::conflict) << "nothing is there";
  EXPECT_EQ(this->put(std::nullopt, record), StoreOutcome::committed);
  Version wrong = record.version();
  wrong.revision = Revision(8);
  EXPECT_EQ(this->put(wrong, later(record)), StoreOutcome::conflict);
  wrong = record.version();
  wrong.epoch = Epoch(3);  // the pending epoch counts
  EXPECT_EQ(this->put(wrong, later(record)), StoreOutcome::conflict);
  EXPECT_EQ(this->put(record.version(), later(record)), StoreOutcome::committed);
  EXPECT_EQ(this->put(record.version(), later(record)), StoreOutcome::conflict) << "twice";
  EXPECT_EQ(this->store->volume(record.id).value(), later(record));
}

TYPED_TEST(StoreContract, a_record_that_goes_leaves_its_history) {
  const VolumeRecord record = sample(1);
  EXPECT_EQ(this->put(std::nullopt, record), StoreOutcome::committed);
  const VolumeRecord gone = later(record);
  EXPECT_EQ(this->store->compare_and_set(record.id, record.version(), std::nullopt,
                                         event_of(gone, "deleted")),
            StoreOutcome::committed);
  EXPECT_EQ(this->store->volume(record.id).value(), std::nullopt);
  const auto events = this->store->events(record.id, Revision(0), 10).value();
  ASSERT_EQ(events.size(), 2U);
  EXPECT_EQ(events[0], event_of(record, "changed"));
  EXPECT_EQ(events[1], event_of(gone, "deleted"));
}

TYPED_TEST(StoreContract, a_history_says_what_is_held_and_goes_when_many_others_have_gone) {
  VolumeRecord record = sample(1);
  record.revision = Revision(1);
  this->store->keep_events(2);
  EXPECT_EQ(this->store->history(record.id).value(), std::nullopt);
  EXPECT_EQ(this->put(std::nullopt, record), StoreOutcome::committed);
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(this->put(record.version(), later(record)), StoreOutcome::committed);
    record = later(record);
  }
  EXPECT_EQ(this->store->history(record.id).value(), (History{record.version(), Revision(3)}));
  EXPECT_EQ(this->store->events(record.id, Revision(0), 9).value().size(), 2U);
  const auto remove = [&](const VolumeRecord& gone) {
    return this->store->compare_and_set(gone.id, gone.version(), std::nullopt,
                                        event_of(later(gone), "deleted"));
  };
  EXPECT_EQ(remove(record), StoreOutcome::committed);
  for (std::uint64_t i = 0; i < histories_kept; ++i) {
    EXPECT_TRUE(this->store->history(record.id).value()) << "after " << i;
    EXPECT_EQ(this->put(std::nullopt, sample(100 + i)), StoreOutcome::committed);
    EXPECT_EQ(remove(sample(100 + i)), StoreOutcome::committed);
  }
  EXPECT_EQ(this->store->history(record.id).value(), std::nullopt);
  EXPECT_TRUE(this->store->history(sample(100).id).value());
}

TYPED_TEST(StoreContract, volumes_and_nodes_are_listed_by_id) {
  for (const std::uint64_t number : {3, 1, 2}) {
    EXPECT_EQ(this->put(std::nullopt, sample(number)), StoreOutcome::committed);
    EXPECT_TRUE(this->store
                    ->remember(NodeRecord{NodeId(number == 3 ? ~0ULL : number), "n", "p", "a", "h",
                                          ProcessStart(~0ULL), 12})
                    .has_value());
  }
  const auto volumes = this->store->volumes().value();
  ASSERT_EQ(volumes.size(), 3U);
  EXPECT_EQ(volumes[0], sample(1));
  EXPECT_EQ(volumes[2], sample(3));
  const auto nodes = this->store->nodes().value();
  ASSERT_EQ(nodes.size(), 3U);
  EXPECT_EQ(nodes[0].id, NodeId(1));
  EXPECT_EQ(nodes[2].id, NodeId(~0ULL));
  EXPECT_EQ(nodes[2].process_start, ProcessStart(~0ULL));
}

TYPED_TEST(StoreContract, versions_are_those_of_the_records_that_are_there) {
  const VolumeRecord one = sample(1), two = sample(2);
  EXPECT_EQ(this->put(std::nullopt, one), StoreOutcome::committed);
  EXPECT_EQ(this->put(std::nullopt, two), StoreOutcome::committed);
  EXPECT_EQ(this->put(two.version(), later(two)), StoreOutcome::committed);
  const std::map<VolumeId, Version> both{{one.id, one.version()}, {two.id, later(two).version()}};
  EXPECT_EQ(this->store->versions().value(), both);
  EXPECT_EQ(this->store->compare_and_set(one.id, one.version(), std::nullopt,
                                         event_of(later(one), "deleted")),
            StoreOutcome::committed);
  EXPECT_EQ(this->store->versions().value().size(), 1U);
}

TYPED_TEST(StoreContract, a_refused_change_leaves_no_event_and_tells_no_watcher) {
  std::vector<std::uint64_t> told;
  this->store->watch([&](const ChangeEvent& event) { told.push_back(event.revision.value()); });
  const VolumeRecord record = sample(1);
  EXPECT_EQ(this->put(record.version(), later(record)), StoreOutcome::conflict);
  EXPECT_EQ(this->put(std::nullopt, record), StoreOutcome::committed);
  EXPECT_EQ(this->put(std::nullopt, later(record)), StoreOutcome::conflict);
  EXPECT_EQ(this->put(record.version(), later(record)), StoreOutcome::committed);
  EXPECT_EQ(told, (std::vector<std::uint64_t>{9, 10}));
  EXPECT_EQ(this->store->events(record.id, Revision(0), 10).value().size(), 2U);
  EXPECT_EQ(this->store->events(record.id, Revision(9), 10).value().size(), 1U);
  EXPECT_EQ(this->store->events(record.id, Revision(0), 1).value().size(), 1U);
}

TYPED_TEST(StoreContract, a_controller_runs_on_it) {
  std::vector<Output> out;
  Runner runner(*this->store);
  ASSERT_TRUE(runner.start(Instant(1'000), out).has_value());
  control::Register hello;
  hello.node = NodeId(1);
  hello.name = "n1";
  hello.data_address = "127.0.0.1:7000";
  hello.process_start = ProcessStart(5);
  hello.pool_free_bytes = limits::TiB;
  runner.step(input::NodeSaid{1, hello}, Instant(1'000), out);
  CreateVolume create;
  create.operation = "op";
  create.name = "v";
  create.size_bytes = limits::GiB;
  create.fresh_id = VolumeId{1, 2};
  create.fresh_incarnation = Incarnation{3, 4};
  runner.step(input::Asked{1, create, Instant(9'000)}, Instant(1'000), out);
  ASSERT_EQ(out.size(), 1U);
  const auto* delivery = std::get_if<output::Deliver>(&out[0]);
  ASSERT_NE(delivery, nullptr);
  EXPECT_TRUE(std::holds_alternative<control::CreateReplica>(delivery->message));
  EXPECT_EQ(this->store->volume(VolumeId{1, 2}).value()->name, "v");
  EXPECT_EQ(this->store->nodes().value().size(), 1U);
}

TEST(SqliteStore, what_was_committed_is_there_after_opening_again) {
  Sqlite kind;
  const VolumeRecord record = sample(1);
  {
    auto store = kind.open();
    EXPECT_EQ(store->compare_and_set(record.id, std::nullopt, record, event_of(record, "created")),
              StoreOutcome::committed);
  }
  auto store = kind.open();
  EXPECT_EQ(store->volume(record.id).value(), record);
  EXPECT_EQ(store->events(record.id, Revision(0), 10).value().size(), 1U);
}

TEST(SqliteStore, a_second_controller_on_the_same_store_is_refused) {
  Sqlite kind;
  auto first = kind.open();
  const auto second = kind.try_open();
  ASSERT_FALSE(second.has_value());
  EXPECT_EQ(second.error().code, Errc::busy);
  EXPECT_NE(kind.detail.find("in use"), std::string::npos) << kind.detail;
}

TEST(SqliteStore, a_file_that_is_no_store_is_refused_and_not_touched) {
  Sqlite kind;
  const std::string text(8192, 'x');
  std::ofstream(kind.path()) << text;
  const auto opened = kind.try_open();
  ASSERT_FALSE(opened.has_value());
  EXPECT_EQ(opened.error().code, Errc::corrupt) << kind.detail;
  std::ifstream back(kind.path());
  const std::string held((std::istreambuf_iterator<char>(back)), std::istreambuf_iterator<char>());
  EXPECT_EQ(held, text);
}

TEST(SqliteStore, a_damaged_record_is_refused_by_the_codec) {
  EXPECT_EQ(decode_volume(encode(sample(1))).value(), sample(1));
  std::string bytes = encode(sample(1));
  bytes.resize(bytes.size() / 2);
  EXPECT_FALSE(decode_volume(bytes).has_value());
  EXPECT_FALSE(decode_volume("").has_value()) << "an empty record has no state";
}

}  // namespace
}  // namespace seawall::controller
