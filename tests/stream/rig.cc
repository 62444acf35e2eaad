#include "tests/stream/rig.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "controller/store/sqlite_store.h"

namespace seawall::controller::stream {
namespace {

std::string text_of(const VolumeFields& fields) { return difference({}, fields, ""); }

std::string place_of(VolumeId volume, const Version& version) {
  return "|" + std::string(volume.to_hex().data()) + "|" + std::to_string(version.epoch.value()) +
         "|" + std::to_string(version.revision.value());
}

}  // namespace

VolumeId volume_id(std::uint64_t number) { return VolumeId{0, number}; }

Truths::Truths(Store& store) : store_(store) {
  store_.watch([this](const ChangeEvent& event) {
    const auto record = store_.volume(event.volume);
    ASSERT_TRUE(record.has_value());
    const std::pair position(event.epoch.value(), event.revision.value());
    auto& history = truth_[event.volume.to_hex().data()];
    ASSERT_FALSE(history.contains(position)) << "a position was given twice";
    history[position] = record.value() ? text_of(fields_of(*record.value())) : "";
    for (Feed* feed : feeds) feed->note_commit(event.volume);
  });
}

Truths::~Truths() { store_.watch(nullptr); }

Station::Station(Store& store, Truths& truths, bool all)
    : store_(store), truths_(truths), all_(all) {}

Station::~Station() { die(); }

void Station::open_stream() {
  if (feed_) std::erase(truths_.feeds, feed_.get());
  feed_ = std::make_unique<Feed>(store_);
  truths_.feeds.push_back(feed_.get());
  up_.clear();
  down_.clear();
  held_.clear();
}

void Station::start() {
  watcher_ = std::make_unique<Watcher>(disk_);
  reconnect();
}

void Station::reconnect() {
  open_stream();
  std::vector<Effect> effects;
  watcher_->connected(all_, effects);
  for (const VolumeId volume : watched_) {
    if (!disk_.contains(volume)) watcher_->claim(volume, effects);
  }
  carry_out(effects);
}

void Station::die() {
  if (feed_) std::erase(truths_.feeds, feed_.get());
  feed_.reset();
  watcher_.reset();
  up_.clear();
  down_.clear();
}

void Station::claim(VolumeId volume, const Version& last) {
  disk_[volume].last = last;
  start();
}

template <class Message>
void Station::send(std::deque<Message>& queue, Message message) {
  ++messages_;
  if (messages_ != fault_at_ || fault_ == Fault::none) {
    queue.push_back(std::move(message));
    return;
  }
  if (fault_ == Fault::twice) queue.push_back(message);
  if (fault_ == Fault::twice) queue.push_back(std::move(message));
  if (fault_ == Fault::swap) queue.push_front(std::move(message));
}

void Station::settle() {
  bool moved = true;
  for (int round = 0; moved && alive(); ++round) {
    ASSERT_LT(round, 100'000) << "it never comes to rest";
    moved = false;
    if (!up_.empty() && !up_blocked_) {
      const FromWatcher message = std::move(up_.front());
      up_.pop_front();
      ASSERT_TRUE(feed_->hear(message));
      moved = true;
    }
    std::vector<ToWatcher> told;
    ASSERT_TRUE(feed_->pump(told));
    moved = moved || !told.empty();
    for (ToWatcher& message : told) send(down_, std::move(message));
    if (down_.empty() || down_blocked_) continue;
    const ToWatcher message = std::move(down_.front());
    down_.pop_front();
    hear(message);
    moved = true;
  }
}

void Station::hear(const ToWatcher& message) {
  received_.push_back(message);
  note(message);
  std::vector<Effect> effects;
  watcher_->hear(message, effects);
  carry_out(effects);
}

void Station::note(const ToWatcher& message) {
  if (const auto* answer = std::get_if<Answer>(&message)) {
    const Version& committed = answer->ruling.committed;
    transcript_.add("A|" + std::string(answer->volume.to_hex().data()) + "|" +
                    verdict_name(answer->ruling.verdict) + "|" +
                    std::to_string(committed.epoch.value()) + "|" +
                    std::to_string(committed.revision.value()));
    return;
  }
  if (const auto* event = std::get_if<ChangeEvent>(&message)) {
    body_ = "E" + place_of(event->volume, Version{event->epoch, event->revision}) + "|" +
            event->type + "|" + event->fields;
    return;
  }
  const Snapshot& snapshot = std::get<Snapshot>(message);
  body_ = "S" + place_of(snapshot.volume, snapshot.version) + "|" + text_of(snapshot.state);
}

void Station::carry_out(const std::vector<Effect>& effects) {
  for (const Effect& effect : effects) {
    if (++effects_ == die_at_) {
      die();
      return;
    }
    if (const auto* store = std::get_if<effect::Store>(&effect)) {
      disk_[store->volume] = store->now;
      transcript_.add(body_);
    } else if (const auto* forget = std::get_if<effect::Forget>(&effect)) {
      disk_.erase(forget->volume);
    } else if (const auto* fence = std::get_if<effect::Fence>(&effect)) {
      transcript_.add("F" + place_of(fence->volume, fence->committed));
    } else if (const auto* stop = std::get_if<effect::Stop>(&effect)) {
      stopped_ = stop->reason;
    } else {
      const FromWatcher& message = std::get<effect::Say>(effect).message;
      if (keeps_acks_ && std::holds_alternative<Acknowledge>(message)) {
        held_.push_back(message);
      } else {
        send(up_, message);
      }
    }
  }
}

void Station::release_acknowledgements() {
  for (FromWatcher& message : held_) send(up_, std::move(message));
  held_.clear();
}

VolumeRecord Minter::record(VolumeId id) { return *store_.volume(id).value(); }

Version Minter::version(VolumeId id) { return store_.history(id).value()->newest; }

void Minter::commit(VolumeId id, const std::optional<VolumeRecord>& before,
                    const std::optional<VolumeRecord>& after, const std::string& type) {
  const VolumeRecord& source = after ? *after : *before;
  const Revision revision =
      after ? after->revision : Revision(before->revision.value() + 1);
  const ChangeEvent event{id, source.greatest_epoch(), revision, type,
                          difference(before ? fields_of(*before) : VolumeFields{},
                                     after ? fields_of(*after) : VolumeFields{}, "a test's")};
  std::optional<Version> expected;
  if (before) expected = before->version();
  ASSERT_EQ(store_.compare_and_set(id, expected, after, event), StoreOutcome::committed);
}

void Minter::create(VolumeId id, const std::string& name) {
  VolumeRecord made;
  made.id = id;
  made.name = name;
  made.incarnation = Incarnation{7, 7};
  made.revision = Revision(1);
  made.config.members = {ReplicaId(1), ReplicaId(2)};
  commit(id, std::nullopt, made, "created");
}

void Minter::change(VolumeId id) {
  const VolumeRecord before = record(id);
  VolumeRecord after = before;
  after.revision = Revision(after.revision.value() + 1);
  switch (prng_.below(4)) {
    case 0: after.reason = after.reason.empty() ? "100 % full, \"x=y\"|\n" : ""; break;
    case 1: after.primary = ReplicaId(prng_.range(1, 9)); break;
    case 2:
      after.last_generation = AttachmentId(after.last_generation.value() + 1);
      after.attachments = {{after.last_generation, NodeId(prng_.range(1, 5)), ProcessStart(3)}};
      break;
    case 3: after.attachments.clear(); break;
  }
  commit(id, before, after, "assigned");
}

void Minter::change_epoch(VolumeId id) {
  const VolumeRecord before = record(id);
  VolumeRecord after = before;
  after.revision = Revision(after.revision.value() + 1);
  if (before.pending) {
    after.epoch = *before.pending;
    after.pending.reset();
  } else {
    after.pending = Epoch(before.epoch.value() + 1);
  }
  commit(id, before, after, before.pending ? "assigned" : "fencing");
}

void Minter::remove(VolumeId id) { commit(id, record(id), std::nullopt, "deleted"); }

void Minter::add_event(VolumeId id, const std::string& type) {
  const VolumeRecord before = record(id);
  VolumeRecord after = before;
  after.revision = Revision(after.revision.value() + 1);
  commit(id, before, after, type);
}

void hundred_times(const std::string& name, const Story& story, bool complete) {
  std::string first;
  for (int repeat = 0; repeat < 100; ++repeat) {
    SCOPED_TRACE("repeat " + std::to_string(repeat));
    const std::filesystem::path directory =
        std::filesystem::temp_directory_path() /
        ("seawall-stream-" + std::to_string(::getpid()) + "-" + name);
    std::unique_ptr<Store> store = std::make_unique<MemoryStore>();
    if (repeat == 0) {
      std::filesystem::create_directories(directory);
      std::string detail;
      auto opened = SqliteStore::open((directory / "store.db").string(), &detail);
      ASSERT_TRUE(opened.has_value()) << detail;
      store = std::move(*opened);
    }
    Truths truths(*store);
    const Transcript transcript = story(*store, truths);
    EXPECT_EQ(check(transcript, truths.truth(), complete), "");
    if (repeat == 0) {
      first = transcript.text();
      std::filesystem::remove_all(directory);
    }
    ASSERT_EQ(transcript.text(), first) << "the same story, told twice, differs";
    if (::testing::Test::HasFailure()) return;
  }
  const std::string path = std::string(GOLDEN_DIR) + "/" + name + ".txt";
  if (std::getenv("SEAWALL_REWRITE") != nullptr) std::ofstream(path) << first;
  std::ostringstream golden;
  golden << std::ifstream(path).rdbuf();
  EXPECT_EQ(first, golden.str()) << "SEAWALL_REWRITE=1 accepts what is new";
}

}  // namespace seawall::controller::stream
