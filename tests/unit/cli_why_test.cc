#include "cli/why.h"

#include <gtest/gtest.h>

#include <set>

namespace seawall::cli {
namespace {

pb::Volume volume(const char* health, std::uint32_t eligible) {
  pb::Volume v;
  v.set_name("db");
  v.set_state("ready");
  v.set_health(health);
  v.set_policy("quorum");
  v.set_required(2);
  v.set_eligible(eligible);
  v.set_epoch(4);
  v.set_primary(1);
  v.set_primary_node("node-1");
  v.set_serving(true);
  for (std::uint64_t id = 1; id <= 3; ++id) {
    pb::ReplicaView& r = *v.add_replicas();
    r.set_id(id);
    r.set_node("node-" + std::to_string(id));
    r.set_state("in_sync");
    r.set_role(id == 1 ? "primary" : "replica");
    r.set_member(true);
  }
  return v;
}

bool has(const Explanation& why, const std::string& code) {
  for (const Fact& fact : why.chain) {
    if (fact.code == code) return true;
  }
  return false;
}

std::string commands(const Explanation& why) {
  std::string all;
  for (const Action& action : why.actions) all += action.command + "\n";
  return all;
}

TEST(CliWhy, a_healthy_volume_has_nothing_wrong_and_nothing_to_be_done) {
  pb::Volume v = volume("healthy", 3);
  v.set_lasting_ms(65'000);
  EXPECT_EQ(why_text(explain(v), false),
            "HEALTHY  db  quorum 2 of 3, 3 count: I/O is served, 1 more copy may be lost\n"
            "  volume    nothing is wrong, for 1 min 5 s\n"
            "  primary   node-1 serves it, epoch 4\n"
            "  next      nothing is to be done\n");
  EXPECT_TRUE(explain(v).actions.empty());
}

TEST(CliWhy, a_silent_node_is_named_with_its_time_and_both_ways_out) {
  pb::Volume v = volume("degraded", 2);
  v.set_reason("a copy cannot be reached (replica 3: its node is silent)");
  pb::ReplicaView& lost = *v.mutable_replicas(2);
  lost.set_state("unreachable");
  lost.set_reason("its node is silent");
  lost.set_lasting_ms(61'200);
  EXPECT_EQ(why_text(explain(v), false),
            "DEGRADED  db  quorum 2 of 3, 2 count: I/O is served, one more loss stops it\n"
            "  volume    a copy cannot be reached (replica 3: its node is silent)\n"
            "  primary   node-1 serves it, epoch 4\n"
            "  copy      node-3: unreachable: its node is silent, for 1 min 1 s\n"
            "  next      start the daemon of node-3, or mend its network; its copy comes back by "
            "itself\n"
            "  next      if node-3 is lost for good, put another copy in its place\n"
            "              seawall replica replace db --node node-3\n");
}

TEST(CliWhy, a_recovery_says_what_it_does_how_far_it_is_and_asks_for_nothing) {
  pb::Volume v = volume("recovering", 2);
  pb::ReplicaView& back = *v.mutable_replicas(2);
  back.set_state("rebuilding");
  back.set_session_kind("delta");
  back.set_session_phase("running");
  back.set_reason("the log no longer holds what it lacks");
  back.set_bytes_total(4 << 20);
  back.set_bytes_left(1 << 20);
  back.set_lag(7);
  const Explanation why = explain(v);
  EXPECT_TRUE(why.actions.empty());
  EXPECT_NE(why_text(why, false).find("node-3: takes what differs: the log no longer holds what it "
                                      "lacks; delta, 75 % of 4.0 MiB, 7 records behind"),
            std::string::npos)
      << why_text(why, false);
}

TEST(CliWhy, P127_what_was_given_up_is_shown_with_its_history_and_the_operators_word) {
  pb::Volume v = volume("degraded", 2);
  pb::ReplicaView& gone = *v.mutable_replicas(1);
  gone.set_state("terminal");
  gone.set_reason("rebuild not equal");
  for (const char* action : {"escalate", "terminal"}) {
    pb::FailureView& failure = *gone.add_failures();
    failure.set_kind("not_equal");
    failure.set_action(action);
    failure.set_nth(std::string(action) == "terminal" ? 5 : 4);
    failure.set_ago_ms(3'000);
  }
  const Explanation why = explain(v);
  EXPECT_TRUE(has(why, "copy_terminal"));
  EXPECT_TRUE(has(why, "failure_not_equal"));
  const std::string text = why_text(why, false);
  EXPECT_NE(text.find("node-2: not equal, 4 times; everything is compared, 3.0 s ago"),
            std::string::npos)
      << text;
  EXPECT_NE(text.find("node-2: not equal, 5 times; it was given up"), std::string::npos) << text;
  EXPECT_NE(commands(why).find("seawall replica retry db --node node-2"), std::string::npos);
  EXPECT_NE(commands(why).find("seawall replica replace db --node node-2"), std::string::npos);
}

TEST(CliWhy, a_failover_that_lacks_votes_names_who_is_missing_and_why) {
  pb::Volume v = volume("unavailable", 0);
  v.set_serving(false);
  v.set_pending_epoch(5);
  v.set_votes_needed(2);
  v.set_waiting("too few promises");
  v.set_lasting_ms(12'000);
  for (int i = 0; i < 3; ++i) {
    pb::VoteView& vote = *v.add_votes();
    vote.set_replica(i + 1);
    vote.set_node("node-" + std::to_string(i + 1));
    vote.set_counts(i == 1);
    if (i != 1) vote.set_reason("its node is silent");
    v.mutable_replicas(i)->set_state(i == 1 ? "unknown" : "unreachable");
  }
  const Explanation why = explain(v);
  const std::string text = why_text(why, false);
  EXPECT_TRUE(has(why, "votes_missing"));
  EXPECT_NE(text.find("1 of the 2 reports that a promotion needs are here: too few promises"),
            std::string::npos)
      << text;
  EXPECT_NE(text.find("node-1: missing: its node is silent"), std::string::npos) << text;
  EXPECT_NE(text.find("node-2: reported"), std::string::npos) << text;
  EXPECT_NE(commands(why).find("seawall volume force db --members node-2"), std::string::npos);
}

TEST(CliWhy, a_full_disk_and_a_full_log_are_said) {
  pb::Volume v = volume("degraded", 2);
  pb::ReplicaView& full = *v.mutable_replicas(1);
  full.set_state("catching_up");
  full.set_reason("its log is full");
  full.set_pool_bytes(100 << 20);
  full.set_pool_free_bytes(1 << 20);
  full.set_log_fill_percent(95);
  const Explanation why = explain(v);
  EXPECT_TRUE(has(why, "pool_full"));
  EXPECT_TRUE(has(why, "log_full"));
  EXPECT_NE(why_text(why, false).find("free space on the disk of node-2"), std::string::npos);
}

TEST(CliWhy, without_a_primary_or_its_word_it_says_so) {
  pb::Volume v = volume("unavailable", 0);
  v.set_serving(false);
  for (pb::ReplicaView& replica : *v.mutable_replicas()) {
    replica.set_state("unknown");
    replica.set_reason("no primary says what it holds");
  }
  v.mutable_replicas(0)->set_state("unreachable");
  v.mutable_replicas(0)->set_reason("its node is silent");
  EXPECT_TRUE(has(explain(v), "primary_unreachable"));
  v.clear_primary();
  v.clear_primary_node();
  EXPECT_TRUE(has(explain(v), "primary_none"));
  const std::string text = why_text(explain(v), false);
  EXPECT_NE(text.find("none has been chosen yet"), std::string::npos) << text;
  EXPECT_NE(text.find("node-2: no primary says what it holds"), std::string::npos) << text;
}

TEST(CliWhy, a_member_outside_of_the_set_is_told_and_a_member_of_it_is_not) {
  pb::Volume v = volume("recovering", 2);
  v.set_policy("in-sync");
  v.mutable_replicas(0)->set_in_sync_member(true);
  v.mutable_replicas(1)->set_in_sync_member(true);
  const std::string text = why_text(explain(v), false);
  EXPECT_NE(text.find("node-3: in sync, not yet in the in-sync set"), std::string::npos) << text;
  EXPECT_EQ(text.find("copy      node-2"), std::string::npos) << text;
}

TEST(CliWhy, every_state_has_a_code_a_sentence_and_json_of_one_shape) {
  std::set<std::string> codes;
  for (const char* health : {"healthy", "degraded", "recovering", "unavailable", "faulted"}) {
    for (const char* state : {"in_sync", "catching_up", "rebuilding", "rewinding", "proving",
                              "unreachable", "failed", "unknown", "terminal"}) {
      pb::Volume v = volume(health, 1);
      v.mutable_replicas(2)->set_state(state);
      const Explanation why = explain(v);
      EXPECT_FALSE(why.headline.empty());
      for (const Fact& fact : why.chain) {
        EXPECT_FALSE(fact.message.empty()) << fact.code;
        codes.insert(fact.code);
      }
      const boost::json::object json = why_json(why);
      EXPECT_EQ(json.at("state"), health);
      EXPECT_EQ(json.at("subject"), "volume/db");
      EXPECT_EQ(json.at("chain").as_array().size(), why.chain.size());
      for (const auto& line : json.at("chain").as_array()) {
        for (const char* key : {"code", "since_ms", "facts", "message"}) {
          EXPECT_TRUE(line.as_object().contains(key)) << key;
        }
      }
    }
  }
  EXPECT_GE(codes.size(), 14u);
}

TEST(CliWhy, durations_are_those_that_a_person_says) {
  EXPECT_EQ(human_duration(0), "0.0 s");
  EXPECT_EQ(human_duration(59'950), "59.9 s");
  EXPECT_EQ(human_duration(245'000), "4 min 5 s");
  EXPECT_EQ(human_duration(10'920'000), "3 h 2 min");
  EXPECT_EQ(human_duration(176'400'000), "2 d 1 h");
}

}  // namespace
}  // namespace seawall::cli
