// Where a watcher stands when it comes back, and what it is told: rows E04 to E08, E13 and E15.
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/stream/rig.h"

namespace seawall::controller::stream {
namespace {

const VolumeId one = volume_id(1);

Verdict first_verdict(const Station& station) {
  for (const ToWatcher& message : station.received()) {
    if (const auto* answer = std::get_if<Answer>(&message)) return answer->ruling.verdict;
  }
  return Verdict::not_found;
}

std::vector<std::uint64_t> revisions(const Station& station) {
  std::vector<std::uint64_t> all;
  for (const ToWatcher& message : station.received()) {
    if (const auto* event = std::get_if<ChangeEvent>(&message)) {
      all.push_back(event->revision.value());
    }
  }
  return all;
}

void make_history(Minter& minter, std::size_t changes) {
  minter.create(one, "v");
  for (std::size_t i = 0; i < changes; ++i) {
    if (i % 3 == 1) {
      minter.change_epoch(one);
    } else {
      minter.change(one);
    }
  }
}

TEST(ControlStream, E04_from_every_position_the_next_event_follows_and_none_is_missing) {
  hundred_times("E04", [](Store& store, Truths& truths) {
    Minter minter(store, 4);
    Station station(store, truths, false);
    station.watch(one);
    make_history(minter, 0);
    for (int i = 0; i < 12; ++i) {
      station.start();  // from position i + 1: everything so far is stored
      station.settle();
      EXPECT_EQ(station.disk().at(one).last, minter.version(one));
      minter.change(one);
    }
    for (std::uint64_t position = 0; position <= 13; ++position) {
      Station other(store, truths, false);
      other.watch(one);
      const auto event = store.events(one, Revision(position == 0 ? 0 : position - 1), 1).value();
      if (position > 0) {
        other.claim(one, Version{event.front().epoch, Revision(position)});
      } else {
        other.start();
      }
      other.settle();
      EXPECT_EQ(first_verdict(other), Verdict::ok) << position;
      std::vector<std::uint64_t> expected;
      for (std::uint64_t next = position + 1; next <= 13; ++next) expected.push_back(next);
      EXPECT_EQ(revisions(other), expected) << position;
    }
    station.reconnect();
    station.settle();
    return station.transcript();
  });
}

TEST(ControlStream, E05_below_the_compaction_edge_the_whole_state_comes_first) {
  hundred_times("E05", [](Store& store, Truths& truths) {
    store.keep_events(8);
    Minter minter(store, 5);
    make_history(minter, 29);  // 1..30; 23..30 are held
    EXPECT_EQ(store.history(one).value()->oldest, Revision(23));
    for (const std::uint64_t position : {0, 1, 21, 22, 23, 24, 30}) {
      Station station(store, truths, false);
      const auto held = store.events(one, Revision(position == 0 ? 0 : position - 1), 1).value();
      station.watch(one);
      if (position == 0) {
        station.start();
      } else {
        const bool known = held.front().revision.value() == position;
        station.claim(one, Version{known ? held.front().epoch : Epoch(0), Revision(position)});
      }
      station.settle();
      const bool stale = position < 23;
      EXPECT_EQ(first_verdict(station), stale ? Verdict::stale : Verdict::ok) << position;
      EXPECT_EQ(station.watcher().counts().snapshots, stale ? 1U : 0U) << position;
      if (stale) {
        EXPECT_TRUE(revisions(station).empty()) << "the state is that of the newest change";
        EXPECT_EQ(station.disk().at(one).state, fields_of(*store.volume(one).value()));
      } else {
        EXPECT_EQ(revisions(station).size(), 30 - position);
      }
      EXPECT_EQ(station.disk().at(one).last, minter.version(one));
      // The model folds from a state: those that begin in the middle were judged above.
      if (stale) {
        EXPECT_EQ(check(station.transcript(), truths.truth(), true), "");
      }
    }
    Station late(store, truths, true);
    late.start();
    late.settle();
    minter.change(one);
    minter.change_epoch(one);
    late.settle();
    EXPECT_EQ(revisions(late), (std::vector<std::uint64_t>{31, 32})) << "then the tail";
    return late.transcript();
  });
}

TEST(ControlStream, E06_every_impossible_claim_has_its_own_answer) {
  hundred_times("E06", [](Store& store, Truths& truths) {
    Minter minter(store, 6);
    make_history(minter, 7);  // revisions 1..8
    const Version newest = minter.version(one);
    const auto told = [&](const Version& claim) {
      Station station(store, truths, false);
      station.claim(one, claim);
      station.settle();
      return first_verdict(station);
    };
    EXPECT_EQ(told(Version{newest.epoch, Revision(9)}), Verdict::invalid) << "beyond";
    EXPECT_EQ(told(Version{Epoch(99), Revision(8)}), Verdict::invalid) << "an epoch never given";
    EXPECT_EQ(told(Version{Epoch(0), Revision(8)}), Verdict::old_epoch);
    EXPECT_EQ(told(newest), Verdict::ok) << "committed; its acknowledgement was lost";
    Station stranger(store, truths, false);
    stranger.claim(volume_id(77), newest);
    stranger.settle();
    EXPECT_EQ(first_verdict(stranger), Verdict::not_found);
    EXPECT_TRUE(stranger.disk().empty());

    Station ahead(store, truths, false);
    ahead.claim(one, Version{Epoch(50), Revision(50)});
    ahead.settle();
    EXPECT_EQ(ahead.watcher().counts().fences, 1U) << "it stops what it did on that word";
    EXPECT_EQ(ahead.disk().at(one).last, newest);
    EXPECT_EQ(ahead.disk().at(one).state, fields_of(*store.volume(one).value()));
    minter.change(one);
    ahead.settle();
    return ahead.transcript();
  });
}

// One station follows everything; 19 others come and go. Volumes bear ids in another order.
std::map<std::string, std::string> told_by_name(bool reversed) {
  MemoryStore store;
  Truths truths(store);
  Minter minter(store, 7);
  std::vector<std::unique_ptr<Station>> stations;
  for (int i = 0; i < 20; ++i) {
    stations.push_back(std::make_unique<Station>(store, truths, true));
    stations.back()->start();
  }
  const auto id_of = [&](std::uint64_t i) { return volume_id(reversed ? 1000 - i : i + 1); };
  for (std::uint64_t i = 0; i < 50; ++i) minter.create(id_of(i), "v" + std::to_string(i));
  for (std::uint64_t i = 0; i < 100; ++i) {
    minter.change(id_of(i * 7 % 50));
    Station& station = *stations[i % 20];
    if (i % 3 == 0) station.settle();
    if (i % 11 == 0) station.start();
  }
  std::map<std::string, std::string> told;
  for (const auto& station : stations) {
    station->reconnect();
    station->settle();
    if (station == stations[3]) {
      EXPECT_EQ(check(station->transcript(), truths.truth(), true), "");
    }
    EXPECT_EQ(station->disk(), stations[0]->disk());
  }
  for (const ToWatcher& message : stations[0]->received()) {
    const auto* event = std::get_if<ChangeEvent>(&message);
    if (event == nullptr) continue;
    const std::string& name = stations[0]->disk().at(event->volume).state.at("name");
    told[name] += std::to_string(event->revision.value()) + " " + event->fields + "\n";
  }
  return told;
}

TEST(ControlStream, E07_twenty_watchers_of_fifty_volumes_see_each_volume_in_its_order) {
  for (int repeat = 0; repeat < 100; repeat += 2) {
    const auto told = told_by_name(false);
    EXPECT_EQ(told.size(), 50U);
    ASSERT_EQ(told, told_by_name(true)) << "the order of ids shows";
  }
}

TEST(ControlStream, E08_a_slow_watcher_costs_a_window_and_is_stale_once) {
  hundred_times("E08", [](Store& store, Truths& truths) {
    store.keep_events(16);
    Minter minter(store, 8);
    minter.create(one, "v");
    Station station(store, truths, true);
    station.start();
    station.settle();
    station.keep_acknowledgements(true);
    for (std::size_t i = 0; i < 3 * Feed::window; ++i) {
      minter.change(one);
      station.settle();
      EXPECT_LE(station.held_acks() + station.on_the_way(), Feed::window);
    }
    EXPECT_EQ(station.watcher().counts().snapshots, 0U);
    station.keep_acknowledgements(false);
    station.release_acknowledgements();
    station.settle();
    EXPECT_EQ(station.watcher().counts().snapshots, 1U);
    EXPECT_EQ(station.disk().at(one).last, minter.version(one));
    minter.change(one);
    station.settle();
    EXPECT_EQ(station.watcher().counts().snapshots, 1U);
    return station.transcript();
  });
}

TEST(ControlStream, E13_epochs_change_in_acknowledgement_compaction_and_reconnect) {
  hundred_times("E13", [](Store& store, Truths& truths) {
    store.keep_events(3);
    Minter minter(store, 13);
    minter.create(one, "v");
    Station station(store, truths, true);
    station.start();
    for (std::size_t i = 0; i < 40; ++i) {
      if (i % 2 == 0) station.settle();
      minter.change_epoch(one);  // with acknowledgements on their way
      if (i % 5 == 0) station.reconnect();
      if (i % 7 == 0) {
        for (int n = 0; n < 4; ++n) minter.change_epoch(one);  // it falls behind the edge
      }
    }
    station.reconnect();
    station.settle();
    // The model checked that (epoch, revision) only ever rises.
    EXPECT_GT(station.watcher().counts().snapshots, 2U);
    return station.transcript();
  });
}

TEST(ControlStream, E15_what_is_optional_is_ignored_and_counted_what_is_not_stops) {
  hundred_times(
      "E15",
      [](Store& store, Truths& truths) {
        Minter minter(store, 15);
        minter.create(one, "v");
        Station station(store, truths, true);
        station.start();
        minter.add_event(one, "?rumour");
        minter.change(one);
        station.settle();
        EXPECT_EQ(station.watcher().counts().ignored, 1U);
        EXPECT_EQ(station.disk().at(one).last, minter.version(one));
        const Watched before = station.disk().at(one);
        minter.add_event(one, "split");
        minter.change(one);
        station.settle();
        EXPECT_NE(station.stopped().find("\"split\""), std::string::npos) << station.stopped();
        EXPECT_EQ(station.disk().at(one), before) << "nothing behind it is taken";
        return station.transcript();
      },
      false);
}

TEST(ControlStream, a_volume_that_is_gone_is_told_as_such_until_its_history_goes) {
  MemoryStore store;
  Truths truths(store);
  Minter minter(store, 1);
  minter.create(one, "v");
  Station station(store, truths, false);
  station.watch(one);
  station.start();
  minter.remove(one);
  station.settle();
  EXPECT_EQ(station.disk().at(one).last.revision, Revision(2));
  EXPECT_TRUE(station.disk().at(one).state.empty());
  for (std::uint64_t i = 0; i < histories_kept; ++i) {
    minter.create(volume_id(100 + i), "w");
    minter.remove(volume_id(100 + i));
  }
  station.reconnect();
  station.settle();
  EXPECT_TRUE(station.disk().empty()) << "forgotten on both sides";
}

}  // namespace
}  // namespace seawall::controller::stream
