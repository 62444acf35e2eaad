#include "sim/generations/scenarios.h"

#include <array>

namespace seawall::sim {
namespace {

constexpr Micros suspicion = 2 * seconds;    // and a bit: somebody has noticed
constexpr Micros lease_over = 6 * seconds;   // a failover has had the time that it needs
constexpr Micros long_enough = 60 * seconds;

// A primary that has never met `away` in its epoch owes it nothing: its log goes on without it.
void let_the_log_go(Stage& stage, NodeNumber away) {
  const NodeNumber old = stage.primary();
  stage.crash(old);
  stage.start(old);
  stage.run(lease_over);
  const std::uint64_t end = stage.written(away);
  stage.note(away, "its place in the log is let go");
  stage.until([&] { return stage.trimmed(stage.primary()) > end; }, long_enough);
}

void come_back(Stage& stage, NodeNumber node) {
  stage.mend(node);
  stage.recovers(node);
}

// --- G01 .. G05: brief absences ---

void short_outage(Stage& stage) {
  const NodeNumber away = stage.follower(1);
  stage.load(true);
  stage.run(1 * seconds);
  stage.cut_peers(away);
  stage.run(3 * seconds);
  come_back(stage, away);
  stage.settle(long_enough);
}

void outage_beyond_the_log(Stage& stage) {
  const NodeNumber away = stage.follower(1);
  stage.load(true);
  stage.run(1 * seconds);
  stage.cut(away);
  let_the_log_go(stage, away);
  come_back(stage, away);
  stage.settle(long_enough);
}

void flap(Stage& stage) {
  const NodeNumber away = stage.follower(1);
  stage.load(true);
  stage.recovers(away);
  for (int i = 0; i < 5; ++i) {
    stage.run(2 * seconds);
    stage.cut_peers(away);
    stage.run(suspicion);
    stage.mend(away);
  }
  stage.settle(long_enough);
}

// Its writers outrun it until its way back through the log is given up, or held for ever; then its
// disk is itself again, and it flaps on in the middle of whatever brings it back.
void flap_beyond_the_budget(Stage& stage) {
  const NodeNumber away = stage.follower(1);
  stage.load(true);
  stage.run(1 * seconds);
  stage.recovers(away);
  stage.slow_disk(away, 2 * seconds);
  stage.until([&] { return stage.is_rebuilding(away); }, 25 * seconds);
  stage.slow_disk(away, 0);
  stage.slow_link(away, 100 * ms);
  for (int i = 0; i < 4; ++i) {
    stage.cut_peers(away);
    stage.run(suspicion);
    stage.mend(away);
    stage.run(1200 * ms);
  }
  stage.settle(long_enough);
}

// Its disk takes less than a quarter of what the writers write: slowed to that, they outrun it.
void outrun_by_its_writers(Stage& stage) {
  const NodeNumber away = stage.follower(1);
  stage.load(true);
  stage.run(1 * seconds);
  stage.recovers(away);
  stage.slow_disk(away, 2 * seconds);
  stage.run(25 * seconds);
  stage.settle(long_enough);
}

// --- G06 .. G09: restarts and addresses ---

void restart(Stage& stage) {
  const NodeNumber away = stage.follower(1);
  stage.load(true);
  stage.run(1 * seconds);
  stage.crash(away);
  stage.run(500 * ms);
  stage.start(away);
  stage.recovers(away);
  stage.settle(long_enough);
}

void restart_elsewhere(Stage& stage) {
  const NodeNumber away = stage.follower(1);
  stage.load(true);
  stage.run(1 * seconds);
  stage.crash(away);
  stage.move(away);
  stage.run(500 * ms);
  stage.start(away);
  stage.recovers(away);
  stage.settle(long_enough);
}

void restart_elsewhere_unheard(Stage& stage) {
  const NodeNumber away = stage.follower(1);
  stage.load(true);
  stage.run(1 * seconds);
  stage.stop_controller();
  stage.crash(away);
  stage.move(away);
  stage.run(500 * ms);
  stage.start(away);
  stage.recovers(away);
  stage.run(8 * seconds);
  stage.settle(long_enough);
}

void restart_elsewhere_too_late(Stage& stage) {
  const NodeNumber away = stage.follower(1);
  stage.load(true);
  stage.run(1 * seconds);
  stage.cut(away);
  let_the_log_go(stage, away);
  stage.crash(away);
  stage.move(away);
  stage.mend(away);
  stage.start(away);
  stage.recovers(away);
  stage.settle(long_enough);
}

// --- G10 .. G12: room ---

void trimmed_on_the_way(Stage& stage) {
  const NodeNumber away = stage.follower(1);
  stage.load(true);
  stage.run(1 * seconds);
  stage.cut(away);
  const NodeNumber old = stage.primary();
  stage.crash(old);
  stage.start(old);
  stage.run(lease_over);
  stage.slow_link(away, 200 * ms);
  come_back(stage, away);
  stage.run(20 * seconds);
  stage.settle(long_enough);
}

void laggard_fills_the_log(Stage& stage) {
  const NodeNumber away = stage.follower(1);
  stage.load(true);
  stage.run(1 * seconds);
  stage.cut(away);
  stage.run(20 * seconds);
  come_back(stage, away);
  stage.settle(long_enough);
}

void four_laggards(Stage& stage) {
  stage.load(true);
  stage.run(1 * seconds);
  for (int i = 1; i <= 4; ++i) stage.cut_peers(stage.follower(i));
  stage.run(12 * seconds);
  for (int i = 1; i <= 4; ++i) come_back(stage, stage.follower(i));
  stage.settle(2 * long_enough);
}

// --- G13 .. G16: who leads, and what an old leader brings ---

// Two copies, one primary that nobody hears any more: `tail` writes that nobody else has, then
// `newer` ones of a fresh client at its successor.
void old_primary_returns(Stage& stage, std::uint64_t tail, std::uint64_t newer) {
  const NodeNumber old = stage.primary();
  const NodeNumber next = stage.follower(1);
  stage.write(0, 20);
  stage.cut_peers(old);
  stage.cut_control(old);
  stage.send(0, tail);
  stage.run(300 * ms);
  stage.cut(old);
  stage.kill_client();
  stage.until([&] { return stage.serves(next); }, long_enough);
  stage.new_client();
  stage.client_ready(long_enough);
  for (std::uint64_t lba = 0; lba < tail; ++lba) stage.read(lba, 5 * seconds);
  stage.write(0, newer);
  stage.run(2 * seconds);
  come_back(stage, old);
  stage.settle(long_enough);
  stage.run(3 * seconds);
  stage.kill_client();
  stage.crash(next);
  stage.until([&] { return stage.serves(old); }, long_enough);
  stage.new_client();
  stage.read_back();
  stage.settle(long_enough);
}
void old_primary_ahead(Stage& stage) { old_primary_returns(stage, 12, 3); }
void old_primary_equal(Stage& stage) { old_primary_returns(stage, 6, 5); }
void old_primary_behind(Stage& stage) { old_primary_returns(stage, 3, 12); }

void dead_term_is_longest(Stage& stage) {
  const NodeNumber old = stage.primary();
  stage.write(0, 20);
  stage.cut_peers(old);
  stage.cut_control(old);
  stage.send(0, 60);
  stage.run(300 * ms);
  stage.cut(old);
  stage.kill_client();
  stage.until([&] { return stage.primary() != old && stage.serves(stage.primary()); },
              long_enough);
  const NodeNumber second = stage.primary();
  stage.new_client();
  stage.client_ready(long_enough);
  for (std::uint64_t lba = 0; lba < 60; lba += 3) stage.read(lba, 5 * seconds);
  stage.write(0, 8);
  stage.mend_control(old);  // it learns of the epoch, and nothing else
  stage.run(1 * seconds);
  stage.crash(second);
  stage.recovers(old);
  stage.mend(old);
  stage.new_client();
  stage.client_ready(long_enough);
  stage.read_back();
  stage.start(second);
  stage.settle(long_enough);
}

void one_report_in_reach(Stage& stage) {
  const NodeNumber first = stage.primary();
  const NodeNumber second = stage.follower(1);
  const NodeNumber behind = stage.follower(2);
  stage.write(0, 20);
  stage.cut(behind);
  stage.write(0, 20);
  stage.kill_client();
  stage.crash(first);
  stage.crash(second);
  stage.mend(behind);
  stage.run(8 * seconds);
  stage.start(first);
  stage.recovers(first);
  stage.new_client();
  stage.client_ready(long_enough);
  stage.read_back();
  stage.settle(long_enough);
}

void positions_before_the_fence(Stage& stage) {
  const NodeNumber old = stage.primary();
  const NodeNumber stale = stage.follower(1);
  const NodeNumber fresh = stage.follower(2);
  stage.write(0, 20);
  stage.run(2 * seconds);
  stage.cut_control(old);
  stage.run(900 * ms);
  stage.cut_control(fresh);
  stage.note(stale, "cut from the primary");
  stage.cut_pair(old, stale);
  stage.write(0, 20);
  stage.run(3 * seconds);
  stage.mend_control(fresh);
  stage.run(8 * seconds);
  stage.recovers(stale);
  stage.settle(long_enough);
  stage.new_client();
  stage.read_back();
}

// --- G17 .. G20: failures in turn ---

void two_failures(Stage& stage) {
  const NodeNumber first = stage.primary();
  const NodeNumber second = stage.follower(1);
  const NodeNumber third = stage.follower(2);
  stage.write(0, 20);
  stage.run(2 * seconds);
  stage.write(0, 30);  // acknowledged, and no barrier has followed yet
  stage.kill_client();
  const std::uint64_t end = stage.written(third);
  stage.crash(first);
  stage.slow_link(second, 100 * ms);
  stage.until([&] { return stage.serves(second) || stage.written(third) < end; }, long_enough);
  stage.until([&] { return stage.written(third) != end; }, 2 * seconds);
  stage.crash(second);
  stage.slow_link(second, 0);
  stage.run(lease_over);
  stage.start(first);
  stage.recovers(first);
  stage.new_client();
  stage.client_ready(long_enough);
  stage.read_back();
  stage.settle(long_enough);
}

void crash_in_a_full_copy(Stage& stage) {
  const NodeNumber away = stage.follower(1);
  stage.write(0, 400);
  stage.load(true);
  stage.cut(away);
  let_the_log_go(stage, away);
  stage.load(false);
  stage.slow_link(away, 20 * ms);
  come_back(stage, away);
  stage.until([&] { return stage.is_rebuilding(away) && stage.copied_bytes(away) > 0; },
              long_enough);
  stage.crash(away);
  stage.slow_link(away, 0);
  const NodeNumber source = stage.primary();
  stage.crash(source);
  stage.start(source);
  stage.run(lease_over);
  stage.start(away);
  stage.settle(long_enough);
  stage.kill_client();
  for (NodeNumber node = 1; node <= 3; ++node) {
    if (node != away) stage.crash(node);
  }
  const NodeNumber other = away == 1 ? 2 : 1;
  stage.run(500 * ms);
  stage.start(other);
  stage.until([&] { return stage.serves(away) || stage.serves(other); }, long_enough);
  stage.new_client();
  stage.client_ready(long_enough);
  stage.read_back();
  stage.settle(long_enough);
}

void own_tail_is_shown(Stage& stage) {
  const NodeNumber first = stage.primary();
  const NodeNumber second = stage.follower(1);
  const NodeNumber third = stage.follower(2);
  stage.write(0, 20);
  stage.flush();
  stage.run(2 * seconds);
  stage.slow_disk(first, 60 * seconds);
  stage.cut_pair(first, third);
  stage.send(7, 1);  // on the disk of `second` only
  stage.run(500 * ms);
  stage.kill_client();
  const std::uint64_t promised = stage.promised(third);
  stage.crash_losing(first);
  stage.until([&] { return stage.promised(third) > promised; }, long_enough);
  stage.slow_disk(third, 60 * seconds);  // it grants, and writes nothing
  stage.new_client();
  if (stage.client_ready(8 * seconds)) stage.read(7, 3 * seconds);
  stage.kill_client();
  stage.crash(second);
  stage.crash_losing(third);
  stage.mend(first);
  stage.slow_disk(first, 0);
  stage.slow_disk(third, 0);
  stage.start(first);
  stage.start(third);
  stage.recovers(first);
  stage.new_client();
  stage.client_ready(long_enough);
  stage.read(7, 5 * seconds);
  stage.settle(long_enough);
}

void all_lose_power(Stage& stage) {
  const NodeNumber first = stage.primary();
  const NodeNumber early = stage.follower(2);
  const NodeNumber late = stage.follower(1);
  stage.write(0, 20);
  stage.cut(early);
  stage.write(0, 20);
  stage.flush();
  stage.lose_power(stage.client());
  for (NodeNumber node = 1; node <= 3; ++node) stage.lose_power(node);
  stage.mend(early);
  stage.start(early);
  stage.run(8 * seconds);
  stage.start(first);
  stage.recovers(first);
  stage.start(late);
  stage.new_client();
  stage.client_ready(long_enough);
  stage.read_back();
  stage.settle(long_enough);
}

const StageOptions quorum_of_three{};
const StageOptions long_log{.log_bytes = 64 << 20};
const StageOptions middling_log{.log_bytes = 16 << 20};
const StageOptions two_copies{.nodes = 2, .policy = "best-effort"};
const StageOptions five_copies{.nodes = 5, .policy = "best-effort", .log_bytes = 16 << 20};
const StageOptions big_volume{.volume_blocks = 4096};
const StageOptions busy{.log_bytes = 64 << 20, .volume_blocks = 4096, .think_max = 20 * ms};

const std::array scenarios = {
    Scenario{"G01", "short outage, log kept", "a", long_log, short_outage},
    Scenario{"G02", "short outage, log already trimmed", "c", quorum_of_three,
             outage_beyond_the_log},
    Scenario{"G03", "flapping inside the log", "a", long_log, flap},
    Scenario{"G04", "flapping beyond the budget", "b", busy, flap_beyond_the_budget},
    Scenario{"G05", "ingest faster than drain", "b", busy, outrun_by_its_writers},
    Scenario{"G06", "restart, same address", "d", long_log, restart},
    Scenario{"G07", "restart, new address, controller prompt", "d", long_log,
             restart_elsewhere},
    Scenario{"G08", "restart, new address, controller slow", "d", long_log,
             restart_elsewhere_unheard},
    Scenario{"G09", "restart, new address, beyond the log", "c, d", quorum_of_three,
             restart_elsewhere_too_late},
    Scenario{"G10", "log trimmed in mid catch-up", "c", long_log, trimmed_on_the_way},
    Scenario{"G11", "one laggard fills the log", "b, c", middling_log, laggard_fills_the_log},
    Scenario{"G12", "four laggards at once", "b", five_copies, four_laggards},
    Scenario{"G13a", "old primary returns, tail ahead", "c", two_copies, old_primary_ahead},
    Scenario{"G13b", "old primary returns, tail equal", "c", two_copies, old_primary_equal},
    Scenario{"G13c", "old primary returns, tail behind", "c", two_copies, old_primary_behind},
    Scenario{"G14", "the longest log is of a dead term", "e", quorum_of_three,
             dead_term_is_longest},
    Scenario{"G15", "one report in reach", "e", quorum_of_three, one_report_in_reach},
    Scenario{"G16", "positions read before the fence", "e", quorum_of_three,
             positions_before_the_fence},
    Scenario{"G17", "two failures in turn", "c, e", quorum_of_three, two_failures},
    Scenario{"G18", "crash in the middle of a full copy", "d", big_volume, crash_in_a_full_copy},
    Scenario{"G19", "the new primary's own tail", "e", quorum_of_three, own_tail_is_shown},
    Scenario{"G20", "all lose power, one returns early", "e", quorum_of_three, all_lose_power},
};

}  // namespace

std::span<const Scenario> all_scenarios() { return scenarios; }

}  // namespace seawall::sim
