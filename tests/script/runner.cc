#include "tests/script/runner.h"

#include <sstream>

#include "engine/base/check.h"
#include "engine/engine.h"
#include "engine/trace.h"

namespace seawall::script {

// --- words ---

bool Runner::Words::has(const std::string& word) const {
  for (const std::string& each : plain) {
    if (each == word) return true;
  }
  return false;
}

std::uint64_t Runner::Words::number(const std::string& key, std::uint64_t otherwise) const {
  const auto found = named.find(key);
  return found == named.end() ? otherwise : std::stoull(found->second);
}

std::uint64_t Runner::Words::at(std::size_t index) const { return std::stoull(plain.at(index)); }

Runner::Words Runner::parse(const std::string& line) {
  Words words;
  std::istringstream in(line);
  for (std::string word; in >> word;) {
    const std::size_t equals = word.find('=');
    if (equals == std::string::npos) words.plain.push_back(word);
    else words.named[word.substr(0, equals)] = word.substr(equals + 1);
  }
  return words;
}

std::vector<std::uint64_t> Runner::list(const std::string& text) {
  std::vector<std::uint64_t> numbers;
  std::istringstream in(text);
  for (std::string word; std::getline(in, word, ',');) numbers.push_back(std::stoull(word));
  return numbers;
}

std::vector<std::uint64_t> Runner::targets(const Words& words) const {
  const auto found = words.named.find("to");
  if (found != words.named.end()) return list(found->second);
  std::vector<std::uint64_t> all;
  for (const ModelNode& node : cluster_->nodes()) {
    if (node.alive) all.push_back(node.id.value());
  }
  return all;
}

// --- the file ---

ScriptResult Runner::run(const std::string& script) {
  std::istringstream in(script);
  std::string out;
  std::string line;
  while (std::getline(in, line)) {
    if (line.empty() || line[0] == '#') {
      out += line + "\n";
      continue;
    }
    const std::string command = line;
    std::getline(in, line);  // ----
    while (std::getline(in, line) && !line.empty()) {}
    execute(command);
    out += command + "\n----\n" + (cluster_ ? cluster_->take_output() : "") + "\n";
  }
  while (out.size() > 1 && out[out.size() - 2] == '\n') out.pop_back();
  return ScriptResult{out, broken_ || (cluster_ && cluster_->broken())};
}

void Runner::execute(const std::string& line) {
  const Words words = parse(line);
  const std::string& verb = words.plain.at(0);
  if (verb == "replicas") {
    replicas(words);
    return;
  }
  CHECK_MSG(cluster_ != nullptr, "a script begins with replicas");
  const bool known =
      client_words(words) || control_words(words) || fault_words(words) || look_words(words);
  if (known) return;
  broken_ = true;
  cluster_->say("unknown command " + verb);
}

void Runner::replicas(const Words& words) {
  Configuration config;
  const std::uint64_t count = words.number("n", 3);
  std::vector<std::uint64_t> members;
  for (std::uint64_t id = 1; id <= count; ++id) members.push_back(id);
  if (words.named.contains("members")) members = list(words.named.at("members"));
  for (const std::uint64_t id : members) config.members.push_back(ReplicaId{id});
  config.in_sync = config.members;
  const bool in_sync = words.named.contains("policy") && words.named.at("policy") == "in_sync";
  config.policy = in_sync ? Policy::in_sync : Policy::quorum;
  config.min_in_sync = static_cast<std::uint8_t>(words.number("min", 1));
  if (words.named.contains("cache")) config.write_cache = WriteCache::none;
  cluster_ = std::make_unique<Cluster>();
  cluster_->create(count, config);
}

// --- clients ---

bool Runner::client_words(const Words& words) {
  const std::map<std::string, ClientOp> ops = {{"write", ClientOp::write},
                                               {"read", ClientOp::read},
                                               {"flush", ClientOp::flush},
                                               {"discard", ClientOp::discard},
                                               {"zeroes", ClientOp::write_zeroes}};
  if (words.plain[0] == "attach") {
    cluster_->attach(words.at(1), words.has("position"));
    return true;
  }
  if (words.plain[0] == "writes") {  // writes FIRST LAST at=: one block each, settling in between
    for (std::uint64_t r = words.at(1); r <= words.at(2); ++r) {
      cluster_->ask(ClientOp::write, r, words.number("at", 0) + r % 100, 1, false);
      cluster_->stabilize();
    }
    cluster_->take_output();
    return true;
  }
  const auto found = ops.find(words.plain[0]);
  if (found == ops.end()) return false;
  cluster_->ask(found->second, words.at(1), words.number("at", 0), words.number("len", 1),
                words.has("fua"));
  return true;
}

// --- the controller ---

bool Runner::control_words(const Words& words) {
  const std::string& verb = words.plain[0];
  if (verb == "assign") {
    assign(words);
  } else if (verb == "fence") {
    cluster_->fence(words.number("epoch", 0), targets(words));
  } else if (verb == "elect") {
    elect(words, targets(words), words.has("assign"));
  } else if (verb == "failover") {
    failover(words);
  } else if (verb == "accept") {
    if (!cluster_->accept_proposal(!words.has("silent"))) cluster_->say("no proposal to accept");
  } else if (verb == "refuse") {
    if (!cluster_->refuse_proposal()) cluster_->say("no proposal to refuse");
  } else if (verb == "redeliver") {
    cluster_->assign(cluster_->record(), targets(words));
  } else if (verb == "remove") {
    cluster_->feed(cluster_->node(words.at(1)), event::Removed{});
  } else {
    return false;
  }
  return true;
}

void Runner::assign(const Words& words) {
  const std::uint64_t primary = words.number("primary", 1);
  Assignment next = cluster_->make_assignment(words.number("epoch", 1), primary);
  next.revision = Revision{words.number("revision", next.revision.value())};
  next.winner_start = ProcessStart{words.number("start", next.winner_start.value())};
  if (words.named.contains("last")) {  // term.lsn
    const std::string& last = words.named.at("last");
    const std::size_t dot = last.find('.');
    next.winner_position = Position{Term{std::stoull(last.substr(0, dot))},
                                    Lsn{std::stoull(last.substr(dot + 1))}};
  }
  const auto fill = [&](const char* key, ReplicaSet& set) {
    if (!words.named.contains(key)) return;
    set.clear();
    for (const std::uint64_t id : list(words.named.at(key))) set.push_back(ReplicaId{id});
  };
  fill("in_sync", next.config.in_sync);
  fill("members", next.config.members);
  if (words.named.contains("attachments")) {
    next.attachments.clear();
    for (const std::uint64_t id : list(words.named.at("attachments"))) {
      if (id != 0) next.attachments.push_back(AttachmentGrant{AttachmentId{id}, NodeId{1}});
    }
  }
  if (words.named.contains("endpoint")) {
    for (PeerEndpoint& endpoint : next.endpoints) {
      endpoint.version = EndpointVersion{words.number("endpoint", 1)};
    }
  }
  if (!words.has("stale")) cluster_->record() = next;
  cluster_->assign(next, targets(words));
}

void Runner::elect(const Words& words, const std::vector<std::uint64_t>& to, bool also_assign) {
  const char* names[] = {"wait", "wait_for_more", "wait_for_settle", "promote", "impossible",
                         "record_too_old"};
  const PromotionDecision decision =
      cluster_->decide(words.number("epoch", 1), words.number("fence_age", 0),
                       words.number("age", 200));
  std::string line = "elect: ";
  line += names[static_cast<std::size_t>(decision.kind)];
  if (decision.kind == PromotionKind::promote) {
    line += " " + std::to_string(decision.winner.value());
    if (decision.after_power_loss) line += " after_power_loss";
  }
  cluster_->say(line + " (" + decision.reason + ")");
  if (!also_assign || decision.kind != PromotionKind::promote) return;
  Assignment next = cluster_->make_assignment(words.number("epoch", 1), decision.winner.value());
  next.config = decision.config;
  next.winner_start = decision.winner_start;
  next.winner_position = decision.winner_position;
  next.after_power_loss = decision.after_power_loss;
  cluster_->record() = next;
  cluster_->reports().clear();
  cluster_->assign(next, to);
}

void Runner::failover(const Words& words) {
  const std::vector<std::uint64_t> nodes = list(words.named.at("nodes"));
  cluster_->fence(words.number("epoch", 1), nodes);
  cluster_->advance(1000);
  elect(words, nodes, true);
  cluster_->stabilize();
}

// --- faults and progress ---

bool Runner::fault_words(const Words& words) {
  const std::string& verb = words.plain[0];
  if (verb == "tick") {
    cluster_->advance(words.at(1));
  } else if (verb == "stabilize") {
    cluster_->stabilize();
  } else if (verb == "deliver") {
    deliver(words);
  } else if (verb == "hold" || verb == "release") {
    set_hold(words, verb == "hold");
  } else if (verb == "crash" || verb == "power") {
    cluster_->crash(words.at(1), verb == "power");
  } else if (verb == "restart") {
    cluster_->restart(words.at(1));
  } else if (verb == "break" || verb == "heal") {
    const std::uint64_t a = words.at(1);
    const std::uint64_t b = words.at(2);
    if (verb == "break") cluster_->break_link(a, b);
    else cluster_->heal(a, b);
  } else if (verb == "drop") {
    cluster_->drop_frames(words.at(1), words.at(2));
  } else if (verb == "fail") {
    cluster_->feed(cluster_->node(words.at(1)), event::LogFailed{});
  } else if (verb == "checkpoint") {
    cluster_->feed(cluster_->node(words.at(1)), cluster_->node(words.at(1)).checkpoint());
  } else if (verb == "trim") {
    cluster_->feed(cluster_->node(words.at(1)), cluster_->node(words.at(1)).trim());
  } else if (verb == "space") {
    cluster_->feed(cluster_->node(words.at(1)),
                   event::LogSpace{static_cast<std::uint8_t>(words.at(2))});
  } else {
    return false;
  }
  return true;
}

// hold 1 2 (frames from 1 to 2) | hold disk 2 | hold flush 2 | hold super 2 | hold read 2
void Runner::set_hold(const Words& words, bool on) {
  const std::string& what = words.plain.at(1);
  if (what == "disk") cluster_->node(words.at(2)).hold_write = on;
  else if (what == "flush") cluster_->node(words.at(2)).hold_flush = on;
  else if (what == "super") cluster_->node(words.at(2)).hold_super = on;
  else if (what == "read") cluster_->node(words.at(2)).hold_read = on;
  else cluster_->hold(words.at(1), words.at(2), on);
}

// deliver 1 2 [n=] [drop|dup|swap]
void Runner::deliver(const Words& words) {
  Cluster::Fate fate = Cluster::Fate::deliver;
  if (words.has("drop")) fate = Cluster::Fate::drop;
  if (words.has("dup")) fate = Cluster::Fate::twice;
  if (words.has("swap")) fate = Cluster::Fate::swap;
  for (std::uint64_t left = words.number("n", 1); left > 0; --left) {
    if (!cluster_->next_frame(ReplicaId{words.at(1)}, ReplicaId{words.at(2)}, fate)) {
      cluster_->say("no frame");
    }
  }
}

// --- looking ---

bool Runner::look_words(const Words& words) {
  const std::string& verb = words.plain[0];
  if (verb == "status") {
    if (words.plain.size() > 1) status(words.at(1));
    else for (const ModelNode& node : cluster_->nodes()) status(node.id.value());
  } else if (verb == "facts") {
    std::vector<char> buffer(1024);
    TraceWriter out(buffer);
    render(out, cluster_->node(words.at(1)).core->facts());
    cluster_->say(std::string(out.text()));
  } else if (verb == "compare") {
    cluster_->say(cluster_->compare(list(words.plain.at(1))));
  } else if (verb == "slots") {
    for (const ModelNode& node : cluster_->nodes()) {
      cluster_->say(std::to_string(node.id.value()) + ": " +
                    std::to_string(node.slots.in_use()));
    }
  } else if (verb == "pins") {
    const Context& context = cluster_->node(words.at(1)).core->engine().context();
    std::string line = "pins=" + std::to_string(context.pins);
    for (const auto& [pin, from] : cluster_->node(words.at(1)).pins) {
      line += " from=" + std::to_string(from.value());
    }
    cluster_->say(line + " freezes=" + std::to_string(context.freezes));
  } else if (verb == "counters") {
    const CoreCounters& c = cluster_->node(words.at(1)).core->counters();
    cluster_->say("stale_epoch=" + std::to_string(c.stale_epoch) +
                  " stale_session=" + std::to_string(c.stale_session) +
                  " stale_assignment=" + std::to_string(c.stale_assignment) +
                  " foreign=" + std::to_string(c.foreign) +
                  " unexpected=" + std::to_string(c.unexpected) +
                  " duplicates=" + std::to_string(c.duplicates) +
                  " alarms=" + std::to_string(c.alarms));
  } else if (verb == "trace") {
    cluster_->trace = words.plain.at(1) == "on";
  } else {
    return false;
  }
  return true;
}

void Runner::status(std::uint64_t id) {
  const ModelNode& node = cluster_->node(id);
  if (!node.alive) {
    cluster_->say(std::to_string(id) + ": down");
    return;
  }
  std::vector<char> buffer(4096);
  TraceWriter out(buffer);
  render(out, node.core->status());
  cluster_->say(std::to_string(id) + ": " + std::string(out.text()));
}

}  // namespace seawall::script
