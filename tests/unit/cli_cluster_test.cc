#include <gtest/gtest.h>
#include <signal.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>

#include "cli/cluster_file.h"
#include "cli/failure.h"
#include "cli/files.h"
#include "cli/network.h"
#include "cli/process.h"
#include "cli/target.h"

namespace seawall::cli {
namespace {

class CliCluster : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "cliXXXXXX";
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    directory_ = pattern;
    ::setenv("XDG_STATE_HOME", (directory_ + "/state").c_str(), 1);
    ::unsetenv("SEAWALL_DIR");
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  void make_cluster(const std::string& directory) {
    make_directories(directory);
    save_cluster(plan_cluster(directory, directory + "/run", directory + "/pools", "127.1.2.0", 2));
  }

  std::string directory_;
};

ExitCode code_of(const std::function<void()>& act, std::string* message = nullptr) {
  try {
    act();
  } catch (const Failure& failure) {
    if (message != nullptr) *message = failure.what();
    return failure.code();
  }
  return ExitCode::done;
}

TEST_F(CliCluster, every_daemon_gets_an_address_of_its_own) {
  const ClusterRecord record = plan_cluster("/d", "/d/run", "/p", "127.7.9.0", 3);
  ASSERT_EQ(record.daemons.size(), 4U);
  EXPECT_EQ(record.controller().address, "127.7.9.1:7700");
  EXPECT_EQ(record.daemons[1].address, "127.7.9.11:7701");
  EXPECT_EQ(record.daemons[3].address, "127.7.9.13:7701");
  EXPECT_EQ(record.daemons[3].pool, "/p/node-3");
  EXPECT_EQ(record.daemons[3].socket, "/d/run/node-3.sock");
}

TEST_F(CliCluster, the_record_reads_back_as_it_was_written) {
  make_cluster(directory_);
  const ClusterRecord record = load_cluster(directory_);
  EXPECT_EQ(record.directory, directory_);
  EXPECT_EQ(record.network, "127.1.2.0");
  EXPECT_EQ(to_json(record), to_json(plan_cluster(directory_, directory_ + "/run",
                                                  directory_ + "/pools", "127.1.2.0", 2)));
}

TEST_F(CliCluster, a_damaged_record_is_refused_by_what_is_wrong_with_it) {
  const std::string path = directory_ + "/cluster.json";
  const auto refused = [&](const std::string& text, const std::string& part) {
    write_file(path, text);
    std::string message;
    EXPECT_EQ(code_of([&] { load_cluster(directory_); }, &message), ExitCode::failed) << text;
    EXPECT_NE(message.find(part), std::string::npos) << message;
    EXPECT_NE(message.find(path), std::string::npos) << message;
  };
  refused("", "not a record");
  refused("{\"format\": 1", "incomplete");
  refused("[]", "not a JSON object");
  refused("{}", "\"format\" is missing");
  refused("{\"format\": 2}", "its format is 2");
  refused("{\"format\": 1, \"run_directory\": 7}", "\"run_directory\" is not a text");
  refused(R"({"format":1,"run_directory":"r","network":"n","daemons":[]})", "not a controller");
  refused(
      R"({"format":1,"run_directory":"r","network":"n","daemons":[{"name":"x","role":"king"}]})",
      "\"king\"");
}

TEST_F(CliCluster, sockets_move_to_a_short_directory_when_the_path_is_long) {
  EXPECT_EQ(choose_run_directory("/short", "/tmp"), "/short/run");
  const std::string run = choose_run_directory("/" + std::string(100, 'x'), directory_);
  EXPECT_EQ(run.rfind(directory_ + "/seawall-", 0), 0U) << run;
  EXPECT_TRUE(std::filesystem::is_directory(run));
  // The longest directory that still stays: the longest socket in it just fits.
  const std::string longest(sizeof(sockaddr_un::sun_path) - sizeof "/run/node-200.sock", 'x');
  EXPECT_EQ(choose_run_directory(longest, directory_), longest + "/run");
  EXPECT_NE(choose_run_directory(longest + "x", directory_), longest + "x/run");
}

TEST_F(CliCluster, the_cluster_is_found_by_option_then_environment_then_the_last_made) {
  const std::string a = directory_ + "/a";
  const std::string b = directory_ + "/b";
  const std::string c = directory_ + "/c";
  for (const std::string& one : {a, b, c}) make_cluster(one);
  EXPECT_EQ(code_of([] { resolve_target({}); }), ExitCode::usage);
  remember_current(c);
  EXPECT_EQ(resolve_target({}).cluster->directory, c);
  ::setenv("SEAWALL_DIR", b.c_str(), 1);
  EXPECT_EQ(resolve_target({}).cluster->directory, b);
  EXPECT_EQ(resolve_target({"", "127.0.0.1:9"}).controller, "127.0.0.1:9");
  EXPECT_FALSE(resolve_target({"", "127.0.0.1:9"}).cluster.has_value());
  EXPECT_EQ(resolve_target({a, "127.0.0.1:9"}).cluster->directory, a);
  ::unsetenv("SEAWALL_DIR");
  forget_current(a);
  EXPECT_EQ(resolve_target({}).cluster->directory, c);
  forget_current(c);
  EXPECT_EQ(code_of([] { resolve_target({}); }), ExitCode::usage);
  EXPECT_EQ(code_of([&] { resolve_target({directory_ + "/none", ""}); }), ExitCode::not_found);
}

TEST_F(CliCluster, an_unknown_daemon_is_named_with_the_nearest_one) {
  make_cluster(directory_);
  std::string message;
  EXPECT_EQ(code_of([&] { require_daemon(load_cluster(directory_), "node1"); }, &message),
            ExitCode::not_found);
  EXPECT_NE(message.find("did you mean \"node-1\"?"), std::string::npos) << message;
}

TEST_F(CliCluster, a_lock_that_is_held_is_a_conflict) {
  const FileLock lock(directory_ + "/lock", 0);
  EXPECT_EQ(code_of([&] { const FileLock second(directory_ + "/lock", 30); }), ExitCode::conflict);
}

TEST(CliProcess, the_start_time_is_found_whatever_the_name_holds) {
  const std::string rest = " S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4711 20 21\n";
  EXPECT_EQ(start_ticks_of_stat("12 (plain)" + rest), 4711U);
  EXPECT_EQ(start_ticks_of_stat("12 (a ) Z (b)" + rest), 4711U);
  EXPECT_EQ(start_ticks_of_stat("12 (zombie) Z 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4711"),
            std::nullopt);
  EXPECT_EQ(start_ticks_of_stat("12 (short) S 1 2"), std::nullopt);
  EXPECT_EQ(start_ticks_of_stat(""), std::nullopt);
}

TEST(CliProcess, a_pid_of_another_time_or_boot_is_not_ours) {
  const auto self = identify(::getpid());
  ASSERT_TRUE(self.has_value());
  EXPECT_TRUE(is_alive(*self));
  ProcessIdentity other = *self;
  other.start_ticks += 1;
  EXPECT_FALSE(is_alive(other));
  EXPECT_FALSE(send_signal(other, SIGKILL));
  other = *self;
  other.boot = "an earlier one";
  EXPECT_FALSE(is_alive(other));
}

TEST(CliProcess, a_pid_file_reads_back_and_damaged_ones_name_nobody) {
  const ProcessIdentity process{17, 4711, "boot"};
  EXPECT_EQ(parse_pid_file(pid_file_text(process)), process);
  for (const char* text : {"", "17", "17 4711", "x y z", "-1 4711 boot", "17 4711 boot more"}) {
    EXPECT_EQ(parse_pid_file(text), std::nullopt) << text;
  }
}

TEST_F(CliCluster, a_daemon_has_a_session_of_its_own_and_its_log) {
  const std::string log = directory_ + "/log";
  const ProcessIdentity process =
      start_daemon("/bin/sh", {"-c", "echo out; echo err >&2; exec sleep 60"}, log);
  EXPECT_TRUE(is_alive(process));
  EXPECT_EQ(::getsid(process.pid), process.pid);
  write_file(directory_ + "/pid", pid_file_text(process));
  EXPECT_EQ(living_process(directory_ + "/pid"), process);
  EXPECT_TRUE(send_signal(process, SIGKILL));
  EXPECT_TRUE(wait_gone(process, std::chrono::seconds(10)));  // a zombie is gone
  EXPECT_EQ(living_process(directory_ + "/pid"), std::nullopt);
  EXPECT_EQ(child_end(process.pid), "was killed by signal 9");
}

TEST_F(CliCluster, a_daemon_that_ends_at_once_leaves_its_status_and_last_words) {
  const std::string log = directory_ + "/log";
  const ProcessIdentity process =
      start_daemon("/bin/sh", {"-c", "for i in 1 2 3; do echo line $i; done; exit 3"}, log);
  EXPECT_TRUE(wait_gone(process, std::chrono::seconds(10)));
  EXPECT_EQ(child_end(process.pid), "exited with status 3");
  EXPECT_EQ(last_lines(log, 2), (std::vector<std::string>{"line 2", "line 3"}));
}

TEST(CliNetwork, only_a_24_bit_loopback_network_is_one) {
  EXPECT_TRUE(is_loopback_network("127.4.5.0"));
  for (const char* text : {"127.4.5.1", "10.0.0.0", "127.4.5", "x", "", "127.4.5.0/24"}) {
    EXPECT_FALSE(is_loopback_network(text)) << text;
  }
}

TEST(CliNetwork, an_address_that_is_listened_on_is_not_bindable) {
  EXPECT_NE(why_not_bindable("nonsense"), "");
  EXPECT_NE(why_not_bindable("127.0.0.1:99999"), "");
  const std::string network = choose_network({".1:7700"});
  EXPECT_TRUE(is_loopback_network(network));
}

}  // namespace
}  // namespace seawall::cli
