#include "cli/views.h"

#include <gtest/gtest.h>

#include "cli/watch_view.h"

namespace seawall::cli {
namespace {

pb::Volume example() {
  pb::Volume v;
  v.set_name("demo");
  v.set_health("recovering");
  v.set_reason("node-3 is catching up");
  v.set_state("ready");
  v.set_size_bytes(1ULL << 30U);
  v.set_policy("in-sync");
  v.set_min_in_sync(3);
  v.set_write_cache("none");
  v.set_epoch(7);
  v.set_revision(12);
  v.set_primary(1);
  v.set_primary_node("node-1");
  v.set_serving(true);
  v.set_eligible(2);
  v.set_required(2);
  for (std::uint64_t id = 1; id <= 3; ++id) {
    pb::ReplicaView& r = *v.add_replicas();
    r.set_id(id);
    r.set_node("node-" + std::to_string(id));
    r.set_role(id == 1 ? "primary" : "replica");
    r.set_state(id == 3 ? "catching_up" : "in_sync");
    r.set_member(true);
    r.set_in_sync_member(id != 3);
    r.set_written(100 + id);
  }
  v.mutable_replicas(2)->set_session_kind("catch_up");
  v.mutable_replicas(2)->set_bytes_total(100 << 20U);
  v.mutable_replicas(2)->set_bytes_left(25 << 20U);
  return v;
}

TEST(CliViews, an_unknown_watermark_is_null_not_zero) {
  const boost::json::object json = volume_json(example());
  const boost::json::object& replica = json.at("replicas").as_array()[2].as_object();
  EXPECT_EQ(replica.at("written"), boost::json::value(std::uint64_t{103}));
  for (const char* mark : {"durable", "committed", "stable", "applied", "trimmed"}) {
    EXPECT_TRUE(replica.at(mark).is_null()) << mark;
  }
  EXPECT_EQ(replica.at("session_kind"), "catch_up");
  EXPECT_EQ(replica.at("bytes_left"), boost::json::value(std::uint64_t{25 << 20U}));
}

TEST(CliViews, the_configuration_is_one_value) {
  const boost::json::object json = volume_json(example());
  EXPECT_EQ(json.at("epoch"), boost::json::value(std::uint64_t{7}));
  EXPECT_EQ(json.at("primary"), "node-1");
  EXPECT_TRUE(json.at("pending_epoch").is_null());
  const boost::json::object& config = json.at("configuration").as_object();
  EXPECT_EQ(config.at("members").as_array().size(), 3U);
  EXPECT_EQ(config.at("in_sync").as_array().size(), 2U);
  EXPECT_EQ(config.at("policy"), "in-sync");
}

TEST(CliViews, a_volume_without_a_primary_says_null) {
  pb::Volume v = example();
  v.clear_primary();
  v.clear_primary_node();
  EXPECT_TRUE(volume_json(v).at("primary").is_null());
  EXPECT_TRUE(volume_json(v).at("primary_replica").is_null());
  EXPECT_NE(volume_text(v, false).find("primary   none"), std::string::npos);
}

TEST(CliViews, policies_carry_the_name_that_says_most) {
  pb::Volume v = example();
  EXPECT_EQ(policy_name(v), "all");
  v.set_min_in_sync(2);
  EXPECT_EQ(policy_name(v), "in-sync");
  v.set_min_in_sync(1);
  EXPECT_EQ(policy_name(v), "best-effort");
  v.mutable_replicas()->RemoveLast();
  EXPECT_EQ(policy_name(v), "in-sync") << "asked for by that name, with the default of two copies";
  v.set_policy("quorum");
  EXPECT_EQ(policy_name(v), "quorum");
}

TEST(CliWatch, a_recovery_shows_its_bar_and_what_is_left) {
  pb::Cluster cluster;
  *cluster.add_volumes() = example();
  const std::string lines = watch_lines(cluster);
  EXPECT_EQ(lines,
            "demo recovering epoch 7 primary node-1 | node-1 in_sync | node-2 in_sync | node-3 "
            "catching_up [############....]  75 % 25 MiB left\n");
  const std::string screen = watch_screen(cluster, 200, false);
  EXPECT_NE(screen.find("[##################......]  75 % 25 MiB left"), std::string::npos)
      << screen;
}

TEST(CliWatch, a_node_that_is_away_gets_a_line) {
  pb::Cluster cluster;
  pb::Node& node = *cluster.add_nodes();
  node.set_name("node-2");
  node.set_state("down");
  EXPECT_EQ(watch_lines(cluster), "node node-2 down\n");
}

TEST(CliWatch, a_narrow_terminal_cuts_lines_and_no_escape_sequence) {
  pb::Cluster cluster;
  *cluster.add_volumes() = example();
  const std::string screen = watch_screen(cluster, 10, true);
  std::size_t begin = 0;
  while (begin < screen.size()) {
    const std::size_t end = screen.find('\n', begin);
    const std::string line = screen.substr(begin, end - begin);
    std::string bare;
    for (std::size_t i = 0; i < line.size(); ++i) {
      if (line[i] == '\x1b') {
        i = line.find('m', i);
        ASSERT_NE(i, std::string::npos) << line;
      } else {
        bare += line[i];
      }
    }
    EXPECT_LE(display_width(bare), 10U) << line;
    if (bare != line) {
      EXPECT_EQ(line.substr(line.size() - 4), "\x1b[0m") << line;
    }
    begin = end + 1;
  }
}

}  // namespace
}  // namespace seawall::cli
