// Runner of golden scripts (datadriven): a command line, "----", the expected text, an empty line.
//
//   # comments say why
//   replicas n=3 policy=quorum
//   ----
//
//   write 7 at=3
//   ----
//   1 > Complete r7 ok seen=2@1
//
// run() gives the script back with the output that the commands have now; it is right when nothing
// differs. `./script_test --rewrite` stores it instead, and the diff is reviewed.
//
// Commands (ids are replica numbers, lists are 1,2,3):
//   replicas n= policy=quorum|in_sync [cache=none] [min=] [members=1,2]
//   assign epoch= primary= [to=1,2] [revision=] [in_sync=] [attachments=] [start=] [last=term.lsn]
//   fence epoch= [to=]           elect epoch= [fence_age=ms] [age=ms] [assign] [to=]
//   failover epoch= nodes=       fence, settle, elect, assign, settle: with those nodes only
//   attach NODE [position]       write R at= [len=] [fua]   read R at= [len=]   flush R
//   discard R at= [len=]         zeroes R at= [len=]
//   tick MS                      stabilize                  deliver A->B [n] [drop|dup|swap]
//   hold A->B | disk N | flush N | super N | read N         release ... (the same words)
//   crash N | power N | restart N | break A-B | heal A-B | drop A->B | fail N
//   checkpoint N | trim N | space N percent | accept [silent] | refuse | remove N
//   status [N] | facts N | compare 1,2,3 | slots | pins N | counters N | trace on|off
#pragma once

#include <map>
#include <string>
#include <vector>

#include "tests/script/cluster.h"

namespace seawall::script {

struct ScriptResult {
  std::string text;     // the script with today's output
  bool broken = false;  // an invariant, or a word that nobody knows
};

class Runner {
 public:
  ScriptResult run(const std::string& script);

 private:
  struct Words {
    std::vector<std::string> plain;             // without '='
    std::map<std::string, std::string> named;   // key=value

    [[nodiscard]] bool has(const std::string& word) const;
    [[nodiscard]] std::uint64_t number(const std::string& key, std::uint64_t otherwise) const;
    [[nodiscard]] std::uint64_t at(std::size_t index) const;
  };
  static Words parse(const std::string& line);
  static std::vector<std::uint64_t> list(const std::string& text);

  void execute(const std::string& line);
  bool client_words(const Words& words);
  bool control_words(const Words& words);
  bool fault_words(const Words& words);
  bool look_words(const Words& words);
  void replicas(const Words& words);
  void assign(const Words& words);
  void elect(const Words& words, const std::vector<std::uint64_t>& to, bool also_assign);
  void failover(const Words& words);
  void set_hold(const Words& words, bool on);
  void deliver(const Words& words);
  void status(std::uint64_t id);
  std::vector<std::uint64_t> targets(const Words& words) const;

  std::unique_ptr<Cluster> cluster_;
  bool broken_ = false;
};

}  // namespace seawall::script
