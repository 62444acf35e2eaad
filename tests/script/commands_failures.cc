// Commands about failures of recoveries, and what the projection makes of them.
#include <fmt/format.h>

#include <stdexcept>

#include "engine/engine.h"
#include "engine/volume_projection.h"
#include "tests/script/runner.h"

namespace seawall::script {

message::NackReason nack_reason(const std::string& name) {
  static const std::map<std::string, message::NackReason> table = {
      {"gap", message::NackReason::gap},
      {"divergence", message::NackReason::divergence},
      {"log_failed", message::NackReason::log_failed},
      {"log_full", message::NackReason::log_full},
      {"stale", message::NackReason::stale},
      {"refused", message::NackReason::refused},
      {"wrong_incarnation", message::NackReason::wrong_incarnation},
      {"marker", message::NackReason::marker},
      {"unrepaired", message::NackReason::unrepaired},
      {"broken_contract", message::NackReason::broken_contract}};
  const auto found = table.find(name);
  if (found == table.end()) throw std::runtime_error("no such reason: " + name);
  return found->second;
}

// reject 2->1 REASON times=N: the replica ends each session of its primary with that reason, as
// soon as there is one, until there is none for ten minutes. Says how long each new one took to
// come.
void Script::reject(const Line& line) {
  const std::string& path = line.word(1);
  const std::size_t arrow = path.find("->");
  if (arrow == std::string::npos) throw std::runtime_error("not a->b: " + path);
  const ReplicaId replica{parse_number(path.substr(0, arrow))};
  Node& primary = cluster.node(ReplicaId{parse_number(path.substr(arrow + 2))});
  const auto peer = [&]() -> const Peer& {
    return *primary.core->engine().primary().peer(replica);
  };
  std::string pauses;  // runs of equal ones are one word
  std::uint64_t ended = 0;
  std::uint64_t runs = 0;
  Duration last;
  const auto flush = [&] {
    const std::string times = runs > 1 ? fmt::format("x{}", runs) : "";
    if (runs > 0) pauses += fmt::format(" {}{}", last.value(), times);
    runs = 0;
  };
  for (std::uint64_t i = 0; i < line.number("times", 1); ++i) {
    const Instant before = cluster.now;
    const Instant until = cluster.now + Duration{10 * 60'000};
    while (!peer().plan && cluster.now < until) {
      const bool long_ago = cluster.now >= before + Duration{120'000};
      cluster.advance(Duration{long_ago ? 1'000u : 10u});
    }
    if (!peer().plan) break;
    const Duration took = cluster.now - before;
    if (i > 0 && took != last) flush();
    if (i > 0) ++runs;
    last = took;
    ++ended;
    send_forged(parse_line("forge " + path + " nack reason=" + line.word(2)), "nack");
    cluster.settle();
  }
  flush();
  if (pauses.empty()) pauses = " -";
  cluster.say(fmt::format("{} sessions ended; pauses in ms:{}", ended, pauses));
}

// failures NODE: of its peers, as its status tells them
void Script::failures(const Line& line) {
  const Node& node = cluster.node(ReplicaId{line.number_at(1)});
  for (const PeerStatus& peer : node.core->status(cluster.now).peers) {
    std::string text = fmt::format("{} {} session {}", peer.replica.value(),
                                   replica_state_name(peer.state), session_phase_name(peer.phase));
    if (peer.escalated) text += ", escalated";
    for (const FailureStatus& failure : peer.failures) {
      text += fmt::format("; {} #{} {}", rule_of(failure.kind).name, failure.nth,
                          failure_action_name(failure.action));
    }
    cluster.say(text);
  }
}

// health [NODE ...]: what each of them makes of the volume
void Script::health(const Line& line) {
  cluster.settle();
  for (const ReplicaId id : targets(line, 1)) {
    const Node& node = cluster.node(id);
    const VolumeView view = project_volume(node.core->engine(), cluster.now);
    if (view.required == 0) {
      cluster.say(fmt::format("{} knows no volume", id.value()));
      continue;
    }
    std::string text = fmt::format("{} sees it {}, {} of {} that a write needs", id.value(),
                                   health_name(view.health), view.eligible, view.required);
    if (*view.reason != '\0') text += fmt::format(": {}", view.reason);
    if (view.about != ReplicaId{}) text += fmt::format(" ({})", view.about.value());
    cluster.say(text);
  }
}

}  // namespace seawall::script
