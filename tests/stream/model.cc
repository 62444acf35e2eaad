#include "tests/stream/model.h"

#include <cstdio>
#include <set>
#include <sstream>

namespace seawall::controller::stream {
namespace {

std::uint64_t mixed(std::uint64_t hash, const std::string& text) {
  for (const char c : text) {
    hash ^= static_cast<unsigned char>(c);
    hash *= 0x100000001b3ULL;
  }
  return hash;
}

std::string hex_of(std::uint64_t value) {
  char text[17];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(value));
  return text;
}

std::vector<std::string> parts_of(const std::string& line) {
  std::vector<std::string> parts;
  std::istringstream in(line);
  for (std::string part; std::getline(in, part, '|');) parts.push_back(part);
  return parts;
}

// Applies "k=v -k .r=v" to "k=v" lines, without the code under test.
void apply(const std::string& fields, std::map<std::string, std::string>& state) {
  std::istringstream in(fields);
  for (std::string word; in >> word;) {
    const std::size_t equals = word.find('=');
    if (word[0] == '-') {
      state.erase(word.substr(1));
    } else if (word[0] != '.' && equals != std::string::npos) {
      state[word.substr(0, equals)] = word.substr(equals + 1);
    }
  }
}

std::string text_of(const std::map<std::string, std::string>& state) {
  std::string text;
  for (const auto& [key, value] : state) text += (text.empty() ? "" : " ") + key + "=" + value;
  return text;
}

struct Seen {
  std::pair<std::uint64_t, std::uint64_t> last{0, 0};
  std::map<std::string, std::string> state;
  bool rewound = false;  // INVALID or OLD_EPOCH: the next position may be lower
};

std::string broken(const std::string& what, const std::string& line) { return what + ": " + line; }

std::string check_line(const std::vector<std::string>& parts, const std::string& line,
                       std::map<std::string, Seen>& all, const Truth& truth) {
  if (parts.size() < 5) return broken("too short", line);
  Seen& seen = all[parts[1]];
  if (parts[0] == "A") {
    seen.rewound = parts[2] == "INVALID" || parts[2] == "OLD_EPOCH";
    if (parts[2] == "OLD_EPOCH" || parts[2] == "NOT_FOUND") seen = Seen{{0, 0}, {}, seen.rewound};
    return "";
  }
  if (parts[0] == "F") return seen.rewound ? "" : broken("a fence without INVALID", line);
  const std::pair<std::uint64_t, std::uint64_t> position(std::stoull(parts[2]),
                                                         std::stoull(parts[3]));
  const auto volume = truth.find(parts[1]);
  if (volume == truth.end()) return broken("a volume that never was", line);
  const auto real = volume->second.find(position);
  if (real == volume->second.end()) return broken("a position that was never committed", line);
  if (!seen.rewound && position <= seen.last) return broken("not after the one before", line);
  if (parts[0] == "E") {
    if (position.second != seen.last.second + 1) return broken("a gap", line);
    if (position.first < seen.last.first) return broken("an epoch that falls", line);
    apply(parts[5], seen.state);
  } else {
    seen.state.clear();
    apply(parts[4], seen.state);
  }
  if (text_of(seen.state) != real->second) return broken("not the state of that moment", line);
  seen.last = position;
  seen.rewound = false;
  return "";
}

}  // namespace

void Transcript::add(const std::string& body) {
  hash_ = mixed(hash_, body);
  lines_.push_back(body + "|" + hex_of(hash_));
}

std::string Transcript::text() const {
  std::string text;
  for (const std::string& line : lines_) text += line + "\n";
  return text;
}

std::string check(const Transcript& transcript, const Truth& truth, bool complete) {
  std::map<std::string, Seen> all;
  std::uint64_t hash = 0xcbf29ce484222325ULL;
  for (const std::string& line : transcript.lines()) {
    const std::size_t end = line.rfind('|');
    hash = mixed(hash, line.substr(0, end));
    if (line.substr(end + 1) != hex_of(hash)) return broken("a hash that does not fit", line);
    const std::string what = check_line(parts_of(line), line, all, truth);
    if (!what.empty()) return what;
  }
  if (!complete) return "";
  for (const auto& [volume, history] : truth) {
    if (history.empty()) continue;
    if (all[volume].last != history.rbegin()->first) return "volume " + volume + " is not complete";
  }
  return "";
}

}  // namespace seawall::controller::stream
