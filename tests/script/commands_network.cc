// Commands that hold, lose, repeat and forge: the network, the disks, the clock and the processes.
#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

#include "tests/script/runner.h"

namespace seawall::script {
namespace {

std::pair<ReplicaId, ReplicaId> ends(const std::string& text, const std::string& mark) {
  const std::size_t at = text.find(mark);
  if (at == std::string::npos) throw std::runtime_error("not a" + mark + "b: " + text);
  return {ReplicaId{parse_number(text.substr(0, at))},
          ReplicaId{parse_number(text.substr(at + mark.size()))}};
}

}  // namespace

// hold 1->2 | hold NODE log|flush|super|rewind|stream|base|read ...
void Script::hold_one(const Line& line, bool hold) {
  const std::string& first = line.word(1);
  if (first.find("->") != std::string::npos) {
    for (std::size_t i = 1; i < line.words.size(); ++i) {
      if (hold) cluster.held_links.insert(line.word(i));
      else cluster.held_links.erase(line.word(i));
    }
    return;
  }
  Node& node = cluster.node(ReplicaId{line.number_at(1)});
  for (std::size_t i = 2; i < line.words.size(); ++i) {
    if (hold) node.held.insert(line.words[i]);
    else node.held.erase(line.words[i]);
  }
}

void Script::hold(const Line& line) { hold_one(line, true); }
void Script::release(const Line& line) { hold_one(line, false); }

// run NODE KIND [TIMES]: lets held operations of a store finish; run NODE next: what its disk would
// do next, all appends, else a flush, else a read
void Script::run_held(const Line& line) {
  if (line.word(2) == "next") {
    const ReplicaId id{line.number_at(1)};
    bool any = false;
    while (cluster.run_op(id, "log")) any = true;
    if (!any && !cluster.run_op(id, "flush") && !cluster.run_op(id, "read")) {
      cluster.say("nothing to run");
    }
    return;
  }
  const std::uint64_t times = line.words.size() > 3 ? line.number_at(3) : 1;
  for (std::uint64_t i = 0; i < times; ++i) {
    if (i > 0 && !cluster.manual) cluster.settle();
    if (!cluster.run_op(ReplicaId{line.number_at(1)}, line.word(2))) cluster.say("nothing to run");
  }
}

// deliver 1->2 [TIMES|all]
void Script::deliver(const Line& line) {
  const auto [from, to] = ends(line.word(1), "->");
  std::uint64_t times = 1;
  if (line.words.size() > 2 && line.word(2) == "all") {
    const std::deque<Packet>* queue = cluster.queue(from, to);
    times = queue == nullptr ? 0 : queue->size();
  } else if (line.words.size() > 2) {
    times = line.number_at(2);
  }
  for (std::uint64_t i = 0; i < times; ++i) {
    if (!cluster.deliver(from, to)) cluster.say("nothing to deliver");
  }
}

// drop 1->2 [TIMES]: the oldest that wait
void Script::drop(const Line& line) {
  const auto [from, to] = ends(line.word(1), "->");
  std::deque<Packet>* queue = cluster.queue(from, to);
  const std::uint64_t times = line.words.size() > 2 ? line.number_at(2) : 1;
  for (std::uint64_t i = 0; i < times && queue != nullptr && !queue->empty(); ++i) {
    cluster.say("dropped " + brief(queue->front()));
    queue->pop_front();
  }
}

void Script::dup(const Line& line) {
  const auto [from, to] = ends(line.word(1), "->");
  std::deque<Packet>* queue = cluster.queue(from, to);
  if (queue == nullptr || queue->empty()) throw std::runtime_error("nothing waits");
  queue->insert(queue->begin(), Packet(queue->front()));
}

void Script::swap(const Line& line) {
  const auto [from, to] = ends(line.word(1), "->");
  std::deque<Packet>* queue = cluster.queue(from, to);
  if (queue == nullptr || queue->size() < 2) throw std::runtime_error("too few wait");
  std::swap((*queue)[0], (*queue)[1]);
}

// replay 1->2 KIND [nth=]: the newest (or the nth) of that kind that was ever sent, once more
void Script::replay(const Line& line) {
  const auto [from, to] = ends(line.word(1), "->");
  const std::vector<Packet>& all = cluster.history[line.word(1)];
  std::vector<Packet> fitting;
  for (const Packet& packet : all) {
    if (brief(packet).starts_with(line.word(2))) fitting.push_back(packet);
  }
  if (fitting.empty()) throw std::runtime_error("none of that kind was sent");
  const Packet packet = fitting.at(line.number("nth", fitting.size()) - 1);
  Link* link = cluster.link_between(from, to);
  if (link == nullptr) throw std::runtime_error("no link");
  cluster.receive(*link, to, packet);
}

// tick MILLISECONDS
void Script::tick(const Line& line) { cluster.advance(Duration{line.number_at(1)}); }

void Script::crash(const Line& line) {
  for (const ReplicaId id : targets(line, 1)) cluster.crash(id);
}

// power-loss NODE ... [keep=LSN]
void Script::power_loss(const Line& line) {
  std::optional<Lsn> keep;
  if (line.has("keep")) keep = Lsn{line.number("keep", 0)};
  for (const ReplicaId id : targets(line, 1)) cluster.power_loss(id, keep);
}

// restart [NODE ...]: those, or all that are down
void Script::restart(const Line& line) {
  if (line.words.size() > 1) {
    for (const ReplicaId id : targets(line, 1)) {
      if (cluster.node(id).core) cluster.crash(id);
      cluster.start(id);
    }
    return;
  }
  for (const auto& [id, node] : cluster.nodes()) {
    if (node->core == nullptr) cluster.start(id);
  }
}

void Script::pause(const Line& line) { cluster.node(ReplicaId{line.number_at(1)}).paused = true; }
void Script::resume(const Line& line) { cluster.node(ReplicaId{line.number_at(1)}).paused = false; }

// cut 1-2 ... [told]: nothing passes, nobody is told; or both sides notice
void Script::cut(const Line& line) {
  const bool told = line.words.back() == "told";
  for (std::size_t i = 1; i < line.words.size() - (told ? 1 : 0); ++i) {
    const auto [a, b] = ends(line.words[i], "-");
    cluster.cut(a, b);
    Link* link = told ? cluster.link_between(a, b) : nullptr;
    if (link != nullptr) cluster.break_link(*link);
  }
}

// heal 1-2 ... [keep]: the old connection is broken, unless what waited in it arrives
void Script::heal(const Line& line) {
  const bool keep = line.words.back() == "keep";
  for (std::size_t i = 1; i < line.words.size() - (keep ? 1 : 0); ++i) {
    const auto [a, b] = ends(line.words[i], "-");
    if (!cluster.heal(a, b)) throw std::runtime_error("was not cut");
    Link* link = cluster.link_between(a, b);
    if (link != nullptr && !keep) cluster.break_link(*link);
  }
}

// disconnect A-B [times=] [every=MILLISECONDS]
void Script::disconnect(const Line& line) {
  const auto [a, b] = ends(line.word(1), "-");
  for (std::uint64_t i = 0; i < line.number("times", 1); ++i) {
    Link* link = cluster.link_between(a, b);
    if (link == nullptr) throw std::runtime_error("no link");
    cluster.break_link(*link);
    if (line.has("every")) cluster.advance(Duration{line.number("every", 0)});
  }
}

// new-link DIALLER ACCEPTOR: while the old one still looks open
void Script::new_link(const Line& line) {
  cluster.dial_again(ReplicaId{line.number_at(1)}, ReplicaId{line.number_at(2)});
}

// checkpoint NODE [upto=] [trim=] | checkpoint NODE open=LSN: as far as limit, durable and pins
// allow; or a crash ended one up to there
void Script::checkpoint(const Line& line) {
  Node& node = cluster.node(ReplicaId{line.number_at(1)});
  if (line.has("open")) return node.store.leave_checkpoint_open(Lsn{line.number("open", 0)});
  const std::uint64_t all = node.store.written().value();
  node.store.checkpoint(Lsn{line.number("upto", all)}, Lsn{line.number("trim", all)});
  cluster.say(fmt::format("{} applied={} trimmed={}", node.id.value(),
                          node.store.applied().value(), node.store.trimmed().value()));
  if (!node.core) return;
  cluster.step(node, event::Checkpointed{node.store.applied(), node.store.trimmed()});
}

void Script::fail_log(const Line& line) {
  Node& node = cluster.node(ReplicaId{line.number_at(1)});
  node.held.insert({"log", "flush", "super"});
  cluster.step(node, event::LogFailed{Errc::io_error});
}

// log-space NODE PERCENT
void Script::log_space(const Line& line) {
  cluster.step(cluster.node(ReplicaId{line.number_at(1)}),
               event::LogSpace{static_cast<std::uint8_t>(line.number_at(2))});
}

// damage NODE record lsn=: its payload is bad from now on; NODE block at=: one of the base is
// damage NODE smaller|none: its files hold a block less than the volume, or what they should
// damage NODE base|lost-base|records|regressed [to=lsn] [floor=lsn@term]: as its next opening would
// find it
void Script::damage(const Line& line) {
  ModelStore& store = cluster.node(ReplicaId{line.number_at(1)}).store;
  const std::string& kind = line.word(2);
  if (kind == "record") store.rot(Lsn{line.number("lsn", 0)});
  else if (kind == "block") store.rot_base(line.number("at", 0));
  else if (kind == "base" || kind == "lost-base") store.damage = Damage::base_untrusted;
  else if (kind == "records") store.damage = Damage::unknown_records;
  else if (kind == "regressed") store.damage = Damage::regressed;
  else if (kind == "smaller") store.missing = BlockCount{1};
  else if (kind == "none") store.missing = BlockCount{0};
  else throw std::runtime_error("no such damage");
  if (line.has("to")) store.regress(Lsn{line.number("to", 0)});
  if (kind == "lost-base") store.lose_base();
  if (line.has("floor")) store.floor = parse_position(line.options.at("floor"));
}

// fail-next NODE freeze|send-base|prepare|map|write-base|flush-base: once, when it comes
void Script::fail_next(const Line& line) {
  cluster.node(ReplicaId{line.number_at(1)}).failing.insert(line.word(2));
}

// rotten NODE at=: a block of the base was found bad without a reader
void Script::rotten(const Line& line) {
  cluster.step(cluster.node(ReplicaId{line.number_at(1)}),
               event::BlocksRotten{Lba{line.number("at", 0)}, BlockCount{1}});
}

// lost NODE: the operator's word that what no replica there can give is lost
void Script::lost(const Line& line) {
  cluster.step(cluster.node(ReplicaId{line.number_at(1)}), event::LostByWord{});
}

void Script::remove(const Line& line) {
  cluster.step(cluster.node(ReplicaId{line.number_at(1)}), event::Removed{});
}

// mode manual|auto|trace|silent: silent: the controller tells nothing but by command
void Script::mode(const Line& line) {
  const std::string& word = line.word(1);
  if (word == "trace") cluster.trace = !cluster.trace;
  else if (word == "silent") cluster.tells = false;
  else cluster.manual = word == "manual";
}

// What the script does from here on is beyond the contract: the oracle looks away.
void Script::expect_loss(const Line&) { cluster.loss_expected = true; }

// --- forging ---

message::PeerMessage Script::make_message(const Line& line, const std::string& kind) {
  const Lsn lsn{line.number("lsn", 1)};
  const Lsn durable{line.number("durable", line.number("lsn", 1))};
  const std::uint64_t id = line.number("id", 1);
  const Instant at{line.number("at", cluster.now.value())};
  static TermTable no_terms;
  static ReplicaFacts no_facts;
  if (kind == "hello") {
    const Incarnation foreign{9, 9};
    return message::Hello{line.has("foreign") ? foreign : cluster.incarnation, ProcessStart{1}, at};
  }
  if (kind == "hello_reply") return message::HelloReply{&no_facts, at};
  if (kind == "start_stream") return message::StartStream{lsn, 0, lsn};
  if (kind == "rewind") return message::Rewind{lsn};
  if (kind == "rewind_done") return message::RewindDone{lsn};
  if (kind == "append") {
    message::Append append;
    append.header.lsn = lsn;
    append.header.term = Term{line.number("term", 1)};
    append.header.kind = RecordKind::discard;
    append.header.blocks = BlockCount{1};
    append.sent_at = at;
    if (line.has("committed")) append.committed = Lsn{line.number("committed", 0)};
    if (line.has("stable")) append.stable = Lsn{line.number("stable", 0)};
    return append;
  }
  if (kind == "ack") return message::Ack{lsn, durable, Lsn{line.number("applied", 0)}, at};
  if (kind == "nack") {
    const std::string reason = line.has("reason") ? line.options.at("reason") : "gap";
    return message::Nack{nack_reason(reason), lsn, Epoch{line.number("promised", 0)}};
  }
  if (kind == "barrier") return message::Barrier{id, lsn, at};
  if (kind == "barrier_done") return message::BarrierDone{id, !line.has("failed"), lsn, at};
  if (kind == "heartbeat") return message::Heartbeat{lsn, lsn, lsn, at};
  if (kind == "heartbeat_reply") return message::HeartbeatReply{lsn, durable, Lsn{}, at};
  if (kind == "start_rebuild") return message::StartRebuild{lsn, Term{1}, 1, &no_terms, 1, lsn};
  if (kind == "rebuild_ready") return message::RebuildReady{lsn, {}};
  if (kind == "ask_base_map") return message::AskBaseMap{Lba{line.number("at_lba", 0)}, {}};
  if (kind == "base_map") {
    return message::BaseMap{Lba{line.number("at_lba", 0)}, Lba{1'000'000}, 0, no_slot};
  }
  if (kind == "base_blocks") return message::BaseBlocks{id, Lba{0}, lsn, 0, no_slot};
  if (kind == "base_ack") return message::BaseAck{id};
  if (kind == "base_end") return message::BaseEnd{line.number("count", 0), 0, 0, 0};
  if (kind == "rebuild_complete") {
    return message::RebuildComplete{line.number("count", 0), line.number("digest", 0), durable};
  }
  if (kind == "rebuild_accepted") return message::RebuildAccepted{lsn};
  if (kind == "marker_cleared") return message::MarkerCleared{};
  throw std::runtime_error("no such message: " + kind);
}

// The envelope is that of the newest message on this way, unless the line says otherwise.
void Script::send_forged(const Line& line, const std::string& kind) {
  const auto [from, to] = ends(line.word(1), "->");
  const std::vector<Packet>& all = cluster.history[line.word(1)];
  Packet packet;
  if (!all.empty()) packet.envelope = all.back().envelope;
  message::Envelope& envelope = packet.envelope;
  envelope.volume = line.has("volume") ? VolumeId{9, 9} : cluster.volume;
  envelope.from = ReplicaId{line.number("from", from.value())};
  envelope.to = ReplicaId{line.number("for", to.value())};
  envelope.epoch = Epoch{line.number("epoch", envelope.epoch.value())};
  envelope.session = line.number("session", envelope.session);
  packet.message = make_message(line, kind);
  Link* link = cluster.link_between(from, to);
  Link stranger;  // a message on a link that this pair does not use
  stranger.id = LinkId{1'000'000};
  cluster.receive(link == nullptr || line.has("stranger") ? stranger : *link, to,
                  std::move(packet));
}

// forge 1->2 KIND [lsn=] [epoch=] [session=] ...
void Script::forge(const Line& line) { send_forged(line, line.word(2)); }

// storm 1->2 [epoch=] [session=] [volume] [from=]: every kind of message; each must leave the
// replica's status, log and base as they are.
void Script::storm(const Line& line) {
  static const char* const kinds[] = {
      "hello",         "hello_reply",  "start_stream", "rewind",          "rewind_done",
      "append",        "ack",          "nack",         "barrier",         "barrier_done",
      "heartbeat",     "heartbeat_reply", "start_rebuild", "rebuild_ready", "ask_base_map",
      "base_map",      "base_blocks",
      "base_ack",      "base_end",     "rebuild_complete", "rebuild_accepted", "marker_cleared"};
  const auto [from, to] = ends(line.word(1), "->");
  Node& node = cluster.node(to);
  std::string changed;
  std::string answered;
  for (const char* kind : kinds) {
    if (line.has("except") && line.options.at("except") == kind) continue;
    const std::string before = status_line(cluster, node) + node.store.image();
    const std::size_t sent = cluster.history[way(to, from)].size();
    send_forged(line, kind);
    if (!cluster.manual) cluster.settle();
    const bool same = before == status_line(cluster, node) + node.store.image();
    if (!same) changed += fmt::format(" {}", kind);
    for (std::size_t i = sent; i < cluster.history[way(to, from)].size(); ++i) {
      const std::string words = brief(cluster.history[way(to, from)][i]);
      if (!words.starts_with("Nack")) answered += fmt::format(" {}", words);
    }
  }
  cluster.say("changed by:" + (changed.empty() ? " nothing" : changed));
  cluster.say("answered with:" + (answered.empty() ? " refusals at most" : answered));
}

}  // namespace seawall::script
