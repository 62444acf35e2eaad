// What a link and a process can suffer between an event and its effect: rows E03, E11 and E12.
#include <gtest/gtest.h>

#include "tests/stream/rig.h"

namespace seawall::controller::stream {
namespace {

const VolumeId first = volume_id(1);
const VolumeId second = volume_id(2);

void changes(Minter& minter) {
  minter.change(first);
  minter.change_epoch(second);
  minter.change(first);
  minter.change_epoch(second);
}

// A short life of two volumes, watched throughout.
void life(Minter& minter, Station& station) {
  minter.create(first, "v");
  minter.create(second, "w");
  if (station.alive()) station.settle();
  changes(minter);
  if (station.alive()) station.settle();
  minter.change(second);
  minter.change(first);
  if (station.alive()) station.settle();
}

std::size_t count_stored(const Transcript& transcript) {
  std::size_t stored = 0;
  for (const std::string& line : transcript.lines()) stored += line.front() == 'E' ? 1 : 0;
  return stored;
}

TEST(ControlStream, E03_a_watcher_that_dies_before_or_after_any_step_takes_each_event_once) {
  std::size_t effects = 0;
  {
    MemoryStore store;
    Truths truths(store);
    Minter minter(store, 3);
    Station station(store, truths, true);
    station.start();
    life(minter, station);
    effects = station.effects();
    ASSERT_GT(effects, 16U);
  }
  for (std::size_t death = 1; death <= effects; ++death) {
    SCOPED_TRACE("it dies before effect " + std::to_string(death));
    hundred_times("E03", [death](Store& store, Truths& truths) {
      Minter minter(store, 3);
      Station station(store, truths, true);
      station.die_before_effect(death);
      station.start();
      life(minter, station);
      station.start();
      station.settle();
      // What is stored is the whole effect: position and state were one write.
      EXPECT_EQ(station.disk().at(first).last, minter.version(first));
      EXPECT_EQ(station.disk().at(first).state, fields_of(*store.volume(first).value()));
      EXPECT_EQ(count_stored(station.transcript()), 8U) << "one effect an event";
      Transcript events;  // answers and the interleaving differ, one volume's events do not
      for (const std::string& line : station.transcript().lines()) {
        if (line.front() == 'E' && line.find(first.to_hex().data()) == 2) {
          events.add(line.substr(0, line.rfind('|')));
        }
      }
      return events;
    }, false);
    if (::testing::Test::HasFailure()) return;
  }
}

TEST(ControlStream, E11_a_link_that_is_cut_one_way_costs_nothing_but_time) {
  hundred_times("E11", [](Store& store, Truths& truths) {
    Minter minter(store, 11);
    Station station(store, truths, true);
    station.start();
    station.settle();
    station.block(false, true);  // nothing comes down
    life(minter, station);
    EXPECT_TRUE(station.disk().empty());
    station.block(true, false);  // nothing goes up: acknowledgements are lost
    station.settle();
    changes(minter);
    station.settle();
    station.block(false, false);
    station.reconnect();
    station.settle();
    EXPECT_EQ(station.disk().at(first).last, minter.version(first));
    EXPECT_EQ(station.watcher().counts().snapshots, 0U);
    return station.transcript();
  });
}

TEST(ControlStream, E12_any_message_dropped_doubled_or_swapped_leaves_the_same_state) {
  std::map<VolumeId, Watched> wanted;
  std::size_t messages = 0;
  for (const Station::Fault fault :
       {Station::Fault::none, Station::Fault::drop, Station::Fault::twice, Station::Fault::swap}) {
    for (std::size_t at = 1; at <= std::max<std::size_t>(messages, 1); ++at) {
      SCOPED_TRACE("message " + std::to_string(at));
      for (int repeat = 0; repeat < 4; ++repeat) {
        MemoryStore store;
        Truths truths(store);
        Minter minter(store, 12);
        Station station(store, truths, true);
        station.fail_at(at, fault);
        station.start();
        life(minter, station);
        if (fault == Station::Fault::none) {
          messages = station.messages();
          wanted = station.disk();
          break;
        }
        station.reconnect();
        station.settle();
        EXPECT_EQ(check(station.transcript(), truths.truth(), true), "");
        EXPECT_EQ(count_stored(station.transcript()), 8U) << "one effect an event";
        ASSERT_EQ(station.disk(), wanted);
      }
      if (fault == Station::Fault::none) break;
    }
  }
  EXPECT_GT(messages, 15U);
}

}  // namespace
}  // namespace seawall::controller::stream
