// Runner: reads a golden script, runs its commands, compares the output.
//
// A script is a header of comment lines that names the hazard, then blocks: one or more commands, a
// line "----", the expected output, an empty line. With SEAWALL_REWRITE=1 in the environment the
// expected outputs are written anew; read every one of them before committing it.
// Thread: the test's. Errors: an unknown command, a bad argument and a broken invariant fail.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tests/script/cluster.h"

namespace seawall::script {

struct Block {
  std::vector<std::string> before;    // comments
  std::vector<std::string> commands;
  std::vector<std::string> expected;
};

// One command line: words, and key=value pairs.
struct Line {
  std::vector<std::string> words;
  std::map<std::string, std::string> options;

  [[nodiscard]] bool has(const std::string& key) const { return options.contains(key); }
  [[nodiscard]] std::uint64_t number(const std::string& key, std::uint64_t otherwise) const;
  [[nodiscard]] std::string word(std::size_t index) const;
  [[nodiscard]] std::uint64_t number_at(std::size_t index) const;
};
Line parse_line(const std::string& text);
std::uint64_t parse_number(const std::string& text);
Position parse_position(const std::string& text);  // lsn@term
std::vector<std::uint64_t> parse_list(const std::string& text);

// What the script says: state beyond the cluster, and one function a command.
class Script {
 public:
  Script();
  // Runs one command; false with a line of output when it is not understood.
  bool run(const std::string& text);
  Cluster cluster;

 private:
  using Command = void (Script::*)(const Line&);
  static const std::map<std::string, Command>& commands();

  void replicas(const Line& line);
  void assign(const Line& line);
  void tell(const Line& line);
  void failover(const Line& line);
  void fence(const Line& line);
  void elect(const Line& line);
  void commit(const Line& line);
  void wish(const Line& line);
  void refuse(const Line& line);
  void attach(const Line& line);
  void write(const Line& line);
  void read(const Line& line);
  void flush(const Line& line);
  void discard(const Line& line);
  void zeroes(const Line& line);
  void resend(const Line& line);
  void deliver(const Line& line);
  void drop(const Line& line);
  void dup(const Line& line);
  void swap(const Line& line);
  void replay(const Line& line);
  void forge(const Line& line);
  void storm(const Line& line);
  void hold(const Line& line);
  void release(const Line& line);
  void run_held(const Line& line);
  void tick(const Line& line);
  void crash(const Line& line);
  void power_loss(const Line& line);
  void restart(const Line& line);
  void pause(const Line& line);
  void resume(const Line& line);
  void cut(const Line& line);
  void heal(const Line& line);
  void disconnect(const Line& line);
  void new_link(const Line& line);
  void checkpoint(const Line& line);
  void fail_log(const Line& line);
  void log_space(const Line& line);
  void damage(const Line& line);
  void rotten(const Line& line);
  void lost(const Line& line);
  void fail_next(const Line& line);
  void remove(const Line& line);
  void status(const Line& line);
  void log(const Line& line);
  void data(const Line& line);
  void equal(const Line& line);
  void queue(const Line& line);
  void sent(const Line& line);
  void pins(const Line& line);
  void plans(const Line& line);
  void progress(const Line& line);
  void reject(const Line& line);
  void failures(const Line& line);
  void health(const Line& line);
  void mode(const Line& line);
  void expect_loss(const Line& line);

  void do_request(const Line& line, ClientOp op, std::size_t first_word);
  Assignment make_assignment(const Line& line, std::uint64_t epoch, ReplicaId primary);
  void print_counters();
  void hold_one(const Line& line, bool hold);
  std::vector<ReplicaId> targets(const Line& line, std::size_t first_word);
  message::PeerMessage make_message(const Line& line, const std::string& kind);
  void send_forged(const Line& line, const std::string& kind);

  [[nodiscard]] const Assignment& newest_assignment();

  Configuration config_;
  std::optional<Configuration> wish_;
  std::uint64_t revision_ = 0;
  std::vector<AttachmentGrant> grants_;
  std::map<ReplicaId, std::uint64_t> endpoints_;
  std::map<ReplicaId, std::uint32_t> words_;  // an operator's, to try a replica again
  std::uint64_t next_stamp_ = 1;
  std::uint64_t blocks_ = 64;
  std::uint64_t low_mark_ = 0;
};

message::NackReason nack_reason(const std::string& name);
std::string brief(const Packet& packet);
std::string brief(const std::vector<Packet>& packets);
std::string status_line(Cluster& cluster, Node& node);

// Runs all blocks; returns what they printed, block by block.
std::vector<Block> read_script(const std::string& path);
std::vector<std::string> run_block(Script& script, const Block& block);
std::string text_of(const std::vector<Block>& blocks);

}  // namespace seawall::script
