#include "tests/script/runner.h"

#include <fmt/format.h>

#include <cstdio>
#include <fstream>
#include <sstream>
#include <stdexcept>

namespace seawall::script {

// --- text ---

std::uint64_t parse_number(const std::string& text) {
  std::size_t used = 0;
  const std::uint64_t value = std::stoull(text, &used);
  const std::string unit = text.substr(used);
  if (unit.empty()) return value;
  if (unit == "KiB") return value / 4;  // blocks
  if (unit == "s") return value * 1000;
  throw std::runtime_error("not a number: " + text);
}

Position parse_position(const std::string& text) {
  const std::size_t at = text.find('@');
  if (at == std::string::npos) throw std::runtime_error("not lsn@term: " + text);
  return Position{Term{parse_number(text.substr(at + 1))}, Lsn{parse_number(text.substr(0, at))}};
}

std::vector<std::uint64_t> parse_list(const std::string& text) {
  std::vector<std::uint64_t> out;
  std::stringstream in(text);
  for (std::string item; std::getline(in, item, ',');) {
    if (!item.empty()) out.push_back(parse_number(item));
  }
  return out;
}

Line parse_line(const std::string& text) {
  Line line;
  std::stringstream in(text);
  for (std::string word; in >> word;) {
    const std::size_t equals = word.find('=');
    if (equals == std::string::npos) line.words.push_back(word);
    else line.options[word.substr(0, equals)] = word.substr(equals + 1);
  }
  return line;
}

std::uint64_t Line::number(const std::string& key, std::uint64_t otherwise) const {
  const auto found = options.find(key);
  return found == options.end() ? otherwise : parse_number(found->second);
}

std::string Line::word(std::size_t index) const {
  if (index >= words.size()) throw std::runtime_error("a word is missing");
  return words[index];
}

std::uint64_t Line::number_at(std::size_t index) const { return parse_number(word(index)); }

// --- files ---

std::vector<Block> read_script(const std::string& path) {
  std::ifstream file(path);
  if (!file) throw std::runtime_error("cannot read " + path);
  std::vector<Block> blocks;
  Block block;
  bool output = false;
  const auto finish = [&] {
    if (!block.commands.empty() || !block.before.empty()) blocks.push_back(block);
    block = Block{};
    output = false;
  };
  for (std::string line; std::getline(file, line);) {
    if (output) {
      if (line.empty()) finish();
      else block.expected.push_back(line);
    } else if (line == "----") {
      output = true;
    } else if (line.empty() || line[0] == '#') {
      if (block.commands.empty()) block.before.push_back(line);
      else throw std::runtime_error("commands without ---- in " + path);
    } else {
      block.commands.push_back(line);
    }
  }
  finish();
  return blocks;
}

std::string text_of(const std::vector<Block>& blocks) {
  std::string out;
  for (const Block& block : blocks) {
    for (const std::string& line : block.before) out += line + "\n";
    for (const std::string& line : block.commands) out += line + "\n";
    if (block.commands.empty()) continue;
    out += "----\n";
    for (const std::string& line : block.expected) out += line + "\n";
    if (&block != &blocks.back()) out += "\n";
  }
  return out;
}

namespace {

struct WriteLine {
  std::uint64_t request = 0, lsn = 0, term = 0;
};

bool parse_write(const std::string& line, WriteLine& out) {
  unsigned long request = 0, lsn = 0, term = 0;
  int used = 0;
  const int found =
      std::sscanf(line.c_str(), "write r%lu ok seen=%lu@%lu%n", &request, &lsn, &term, &used);
  if (found != 3 || static_cast<std::size_t>(used) != line.size()) return false;
  out = {request, lsn, term};
  return true;
}

// A run of writes that completed one after the other is one line.
std::vector<std::string> join_writes(const std::vector<std::string>& lines) {
  std::vector<std::string> out;
  for (std::size_t i = 0; i < lines.size();) {
    WriteLine first;
    if (!parse_write(lines[i], first)) {
      out.push_back(lines[i++]);
      continue;
    }
    WriteLine last = first;
    WriteLine next;
    std::size_t end = i + 1;
    while (end < lines.size() && parse_write(lines[end], next) &&
           next.request == last.request + 1 && next.lsn == last.lsn + 1 &&
           next.term == last.term) {
      last = next;
      ++end;
    }
    out.push_back(end - i < 3 ? lines[i]
                              : fmt::format("write r{}..{} ok seen={}..{}@{}", first.request,
                                            last.request, first.lsn, last.lsn, first.term));
    if (end - i < 3) ++i;
    else i = end;
  }
  return out;
}

}  // namespace

std::vector<std::string> run_block(Script& script, const Block& block) {
  std::vector<std::string> lines;
  for (const std::string& command : block.commands) {
    try {
      script.run(command);
    } catch (const std::exception& error) {
      script.cluster.broken(command + ": " + error.what());
    }
    for (std::string& line : script.cluster.take_output()) {
      const std::size_t first = line.find_first_not_of(' ');
      lines.push_back(first == std::string::npos ? line : line.substr(first));
    }
  }
  if (lines.empty() && !block.commands.empty()) lines.push_back("ok");
  return join_writes(lines);
}

// --- commands ---

const std::map<std::string, Script::Command>& Script::commands() {
  static const std::map<std::string, Command> table = {
      {"replicas", &Script::replicas},     {"assign", &Script::assign},
      {"tell", &Script::tell},             {"wish", &Script::wish},
      {"failover", &Script::failover},     {"fence", &Script::fence},
      {"elect", &Script::elect},           {"commit", &Script::commit},
      {"refuse", &Script::refuse},         {"attach", &Script::attach},
      {"write", &Script::write},           {"read", &Script::read},
      {"flush", &Script::flush},           {"discard", &Script::discard},
      {"zeroes", &Script::zeroes},         {"resend", &Script::resend},
      {"deliver", &Script::deliver},       {"drop", &Script::drop},
      {"dup", &Script::dup},               {"swap", &Script::swap},
      {"replay", &Script::replay},         {"forge", &Script::forge},
      {"storm", &Script::storm},           {"hold", &Script::hold},
      {"release", &Script::release},       {"run", &Script::run_held},
      {"tick", &Script::tick},             {"crash", &Script::crash},
      {"power-loss", &Script::power_loss}, {"restart", &Script::restart},
      {"pause", &Script::pause},           {"resume", &Script::resume},
      {"cut", &Script::cut},               {"heal", &Script::heal},
      {"disconnect", &Script::disconnect}, {"new-link", &Script::new_link},
      {"checkpoint", &Script::checkpoint},
      {"fail-log", &Script::fail_log},     {"log-space", &Script::log_space},
      {"lost", &Script::lost},             {"damage", &Script::damage},
      {"rotten", &Script::rotten},
      {"remove", &Script::remove},
      {"status", &Script::status},         {"log", &Script::log},
      {"data", &Script::data},             {"equal", &Script::equal},
      {"queue", &Script::queue},           {"sent", &Script::sent},
      {"pins", &Script::pins},             {"plans", &Script::plans},
      {"progress", &Script::progress},     {"reject", &Script::reject},
      {"failures", &Script::failures},     {"health", &Script::health},
      {"mode", &Script::mode},
      {"fail-next", &Script::fail_next},   {"expect-loss", &Script::expect_loss}};
  return table;
}

Script::Script() { grants_.push_back({AttachmentId{1}, NodeId{1}}); }

bool Script::run(const std::string& text) {
  const Line line = parse_line(text);
  const auto found = commands().find(line.word(0));
  if (found == commands().end()) {
    cluster.broken("no such command: " + text);
    return false;
  }
  (this->*found->second)(line);
  if (!cluster.manual) cluster.settle();
  print_counters();
  return true;
}

// What was dropped since the last command, by cause.
void Script::print_counters() {
  for (auto& [id, node] : cluster.nodes()) {
    if (node->core == nullptr) continue;
    const CoreCounters now = node->core->counters();
    const CoreCounters before = std::exchange(node->counters, now);
    std::string line;
    const auto add = [&](const char* name, std::uint64_t is, std::uint64_t was) {
      if (is != was) line += fmt::format(" {}+{}", name, is - was);
    };
    add("stale_epoch", now.stale_epoch, before.stale_epoch);
    add("stale_session", now.stale_session, before.stale_session);
    add("stale_assignment", now.stale_assignment, before.stale_assignment);
    add("foreign", now.foreign, before.foreign);
    add("unexpected", now.unexpected, before.unexpected);
    add("duplicates", now.duplicates, before.duplicates);
    add("lease_holds", now.lease_holds, before.lease_holds);
    add("alarms", now.alarms, before.alarms);
    if (!line.empty()) cluster.say(fmt::format("{} counts{}", id.value(), line));
  }
}

std::vector<ReplicaId> Script::targets(const Line& line, std::size_t first_word) {
  std::vector<ReplicaId> out;
  if (line.has("to")) {
    for (const std::uint64_t id : parse_list(line.options.at("to"))) out.push_back(ReplicaId{id});
  } else if (line.words.size() > first_word) {
    for (std::size_t i = first_word; i < line.words.size(); ++i) {
      out.push_back(ReplicaId{line.number_at(i)});
    }
  } else {
    for (const auto& [id, node] : cluster.nodes()) {
      if (node->core != nullptr) out.push_back(id);
    }
  }
  return out;
}

}  // namespace seawall::script
