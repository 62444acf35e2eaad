// An independent reader of transcripts: knows the rules of the control stream and the truth that
// was committed, and nothing of feed and watcher.
//
// A transcript has one ASCII line an event, each with the running hash of all before it:
//   A|volume|verdict|epoch|revision|hash          an answer to a claim
//   E|volume|epoch|revision|type|fields|hash      an event whose effect was stored
//   S|volume|epoch|revision|state|hash            a snapshot that was stored
//   F|volume|epoch|revision|hash                  a fence
// Errors: check() answers the first broken rule as a sentence, empty when there is none.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

namespace seawall::controller::stream {

class Transcript {
 public:
  void add(const std::string& body);
  [[nodiscard]] const std::vector<std::string>& lines() const { return lines_; }
  [[nodiscard]] std::string text() const;

 private:
  std::vector<std::string> lines_;
  std::uint64_t hash_ = 0xcbf29ce484222325ULL;
};

// Of each volume, what was committed: (epoch, revision) -> its whole state as text.
using Truth = std::map<std::string, std::map<std::pair<std::uint64_t, std::uint64_t>, std::string>>;

// `complete`: at the end every volume must have reached its newest truth.
std::string check(const Transcript& transcript, const Truth& truth, bool complete);

}  // namespace seawall::controller::stream
