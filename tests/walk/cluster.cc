#include "tests/walk/cluster.h"

#include <algorithm>

#include "engine/base/chain.h"
#include "engine/base/check.h"
#include "engine/invariants.h"
#include "engine/trace.h"

namespace seawall::walk {
namespace {

const VolumeId volume{1, 1};
const Incarnation incarnation{7, 7};

std::string text_of(const auto& what) {
  std::vector<char> buffer(4096);
  TraceWriter out(buffer);
  render(out, what);
  return std::string(out.text());
}

}  // namespace

CoreOptions Cluster::options() const {
  CoreOptions options;
  options.volume = volume;
  return options;
}

void Cluster::create(std::size_t replicas, const Configuration& config) {
  nodes_.resize(replicas);
  for (std::size_t i = 0; i < replicas; ++i) {
    ModelNode& node = nodes_[i];
    node.id = ReplicaId{i + 1};
    node.disk.incarnation = incarnation;
    node.disk.replica = node.id;
    node.disk.start_chain = chain_of_empty_log;
    restart(i + 1);
  }
  record_.volume = volume;
  record_.incarnation = incarnation;
  record_.config = config;
  record_.size = nodes_[0].disk.size;
  record_.attachments.push_back(AttachmentGrant{AttachmentId{1}, NodeId{1}});
  for (const ModelNode& node : nodes_) {
    record_.endpoints.push_back(PeerEndpoint{node.id, EndpointVersion{1}});
  }
}

// --- one step of one Core ---

void Cluster::feed(ModelNode& node, const Event& event) {
  if (!node.alive) return;
  touch(node);
  if (trace) say(std::to_string(node.id.value()) + " < " + text_of(event));
  const CoreSnapshot before = snapshot(*node.core);
  std::unique_ptr<Commands> commands;
  if (spare_commands_.empty()) {
    commands = std::make_unique<Commands>();
  } else {
    commands = std::move(spare_commands_.back());
    spare_commands_.pop_back();
  }
  node.core->step(now_, event, *commands);
  const char* wrong[] = {check_state(*node.core), check_commands(*node.core, *commands),
                         check_delta(before, snapshot(*node.core))};
  const bool opening = std::holds_alternative<event::Opened>(event);
  for (std::size_t i = 0; i < std::size(wrong); ++i) {
    if (wrong[i] == nullptr || (opening && i == 2)) continue;
    broken_ = true;
    say("BROKEN at " + std::to_string(node.id.value()) + " by " + text_of(event) + ": " +
        wrong[i]);
  }
  obey(node, *commands);
  spare_commands_.push_back(std::move(commands));
}

void Cluster::obey(ModelNode& node, const Commands& commands) {
  for (const Command& command : commands) {
    tell(node, command);
    run(node, command);
  }
}

// What leaves the replicas is always told, the rest when traced.
void Cluster::tell(const ModelNode& node, const Command& command) {
  const bool outside = std::holds_alternative<command::AttachReply>(command) ||
                       std::holds_alternative<command::ReportFence>(command) ||
                       std::holds_alternative<command::RefuseFence>(command) ||
                       std::holds_alternative<command::RefuseAssignment>(command) ||
                       std::holds_alternative<command::Propose>(command) ||
                       std::holds_alternative<command::RequestFailover>(command);
  if (const auto* complete = std::get_if<command::Complete>(&command)) {
    say_completion(node, *complete);
    return;
  }
  const bool noise = std::holds_alternative<command::WakeAt>(command) ||
                     std::holds_alternative<command::DropSlot>(command);
  if (!outside && (!trace || noise)) return;
  say(std::to_string(node.id.value()) + " > " + text_of(command));
}

void Cluster::say_completion(const ModelNode& node, const command::Complete& complete) {
  std::string line = std::to_string(node.id.value()) + " > " + text_of(Command(complete));
  if (complete.done.slot != no_slot) {
    line += " data=";
    for (const std::uint64_t value : node.slots.at(complete.done.slot).blocks) {
      line += "[" + std::to_string(value) + "]";
    }
  }
  say(line);
}

void Cluster::run(ModelNode& node, const Command& command) {
  if (const auto* c = std::get_if<command::Send>(&command)) {
    send(node, *c);
  } else if (const auto* stream_command = std::get_if<command::StreamLog>(&command)) {
    stream(node, *stream_command);
  } else if (const auto* dial = std::get_if<command::DialPeer>(&command)) {
    dialling_.insert({node.id.value(), dial->peer.value()});
  } else if (const auto* stop = std::get_if<command::StopDialling>(&command)) {
    dialling_.erase({node.id.value(), stop->peer.value()});
  } else if (const auto* hang_up = std::get_if<command::HangUp>(&command)) {
    close_link(hang_up->link, node.id);
  } else if (const auto* wake = std::get_if<command::WakeAt>(&command)) {
    if (!node.wake || wake->at < *node.wake || now_ >= *node.wake) node.wake = wake->at;
  } else if (const auto* propose = std::get_if<command::Propose>(&command)) {
    proposals_[node.id.value()] = propose->proposal;
  } else if (const auto* report = std::get_if<command::ReportFence>(&command)) {
    reports_.push_back(*report->report);
  } else {
    on_log_command(node, command);
    on_base_command(node, command);
    on_client_command(node, command);
  }
}

void Cluster::on_log_command(ModelNode& node, const Command& command) {
  ModelDisk& disk = node.disk;
  if (const auto* append = std::get_if<command::AppendLog>(&command)) {
    CHECK(append->header.lsn == disk.head().next());
    CHECK(append->header.chain == chain_next(disk.chain_at(disk.head()), append->header));
    ModelRecord record{append->header, 0};
    if (append->slot != no_slot) record.value = node.slots.at(append->slot).value;
    disk.records.push_back(record);
  } else if (std::holds_alternative<command::FlushLog>(command)) {
    node.flush = disk.head();
  } else if (const auto* fold = std::get_if<command::SetFoldLimit>(&command)) {
    CHECK(fold->upto <= disk.durable);
    node.fold_limit = fold->upto;
  } else if (const auto* pin = std::get_if<command::PinLog>(&command)) {
    CHECK_MSG(pin->from > disk.trimmed, "a pin on what is trimmed");
    node.pins[pin->pin] = pin->from;
  } else if (const auto* unpin = std::get_if<command::UnpinLog>(&command)) {
    CHECK(node.pins.erase(unpin->pin) == 1);
  } else if (const auto* super = std::get_if<command::WriteSuper>(&command)) {
    node.supers.push_back(*super);
  } else if (const auto* rewind = std::get_if<command::RewindLog>(&command)) {
    CHECK_MSG(rewind->to >= disk.applied, "a rewind below applied");
    disk.cut(rewind->to);
    disk.durable = disk.written = rewind->to;
    node.flush.reset();
    node.fold_limit = std::min(node.fold_limit, rewind->to);
    node.facts_for_events.push_back(disk.facts(node.process));
    node.completions.push_back(event::RewindDone{true, &node.facts_for_events.back()});
  }
}

void Cluster::on_base_command(ModelNode& node, const Command& command) {
  ModelDisk& disk = node.disk;
  if (const auto* freeze = std::get_if<command::FreezeBase>(&command)) {
    ++node.frozen;
    node.base_cursors[freeze->peer.value()] = {};
    node.base_cursors[freeze->peer.value()].session = freeze->session;
    node.completions.push_back(event::BaseFrozen{freeze->peer, freeze->session, true, disk.applied,
                                                 disk.term_at(disk.applied),
                                                 disk.chain_at(disk.applied), disk.base.size()});
  } else if (const auto* thaw = std::get_if<command::ThawBase>(&command)) {
    CHECK(node.frozen-- > 0);
    node.base_cursors.erase(thaw->peer.value());
  } else if (const auto* compare = std::get_if<command::CompareBase>(&command)) {
    ModelNode::BaseCursor& cursor = node.base_cursors.at(compare->peer.value());
    const message::BaseMap& map = compare->map;
    cursor.theirs.clear();
    if (map.slot != no_slot) cursor.theirs = node.slots.at(map.slot).lines;
    cursor.ours = disk.lines(map.from, map.upto, compare->since);
    cursor.at = MapCursor{};
    cursor.upto = map.upto;
    cursor.compared += cursor.ours.size();
    for (const MapLine& line : cursor.ours) {
      cursor.map_digest = map_digest_next(cursor.map_digest, line);
    }
  } else if (const auto* base = std::get_if<command::SendBase>(&command)) {
    send_base(node, *base);
  } else if (const auto* read = std::get_if<command::ReadBaseMap>(&command)) {
    read_base_map(node, *read);
  } else if (const auto* prepare = std::get_if<command::PrepareRebuild>(&command)) {
    disk.marker = prepare->marker;
    disk.floor = prepare->floor;
    disk.old_terms = *prepare->terms;
    disk.start_requests = *prepare->requests;
    disk.records.clear();
    disk.start = disk.written = disk.durable = disk.applied = disk.trimmed = prepare->marker.cut;
    disk.start_chain = prepare->cut_chain;
    disk.start_term = prepare->cut_term;
    if (!prepare->keep_base) {
      disk.base.clear();
      disk.damage = Damage::none;
    }
    node.base_digest = 0;
    node.base_open = true;
    node.facts_for_events.push_back(disk.facts(node.process));
    node.completions.push_back(
        event::RebuildPrepared{prepare->marker.session, true, &node.facts_for_events.back(),
                               &disk.start_requests});
  } else if (const auto* write = std::get_if<command::WriteBase>(&command)) {
    const message::BaseBlocks& blocks = write->blocks;
    BaseBlock content{blocks.last_lsn, 0};
    if (blocks.slot != no_slot) content.value = node.slots.at(blocks.slot).value;
    disk.base[blocks.lba.value()] = content;
    if (blocks.last_lsn == Lsn{0}) disk.base.erase(blocks.lba.value());
    node.base_digest = digest_next(node.base_digest, blocks.lba.value(), content);
    node.completions.push_back(
        event::BaseWritten{write->session, blocks.sequence, true, node.base_digest});
  } else if (const auto* flush = std::get_if<command::FlushBase>(&command)) {
    node.base_open = false;
    const std::vector<MapLine> lines = disk.lines(Lba{0}, Lba{disk.size.value()}, flush->since);
    std::uint64_t digest = map_digest_start;
    for (const MapLine& line : lines) digest = map_digest_next(digest, line);
    node.completions.push_back(event::BaseFlushed{flush->session, true, lines.size(), digest});
  }
}

void Cluster::on_client_command(ModelNode& node, const Command& command) {
  if (const auto* drop = std::get_if<command::DropSlot>(&command)) {
    node.slots.drop(drop->slot);
  } else if (const auto* read = std::get_if<command::ReadData>(&command)) {
    node.reads.push_back(*read);
  } else if (const auto* complete = std::get_if<command::Complete>(&command)) {
    const ClientDone& done = complete->done;
    if (client_.link != complete->link) return;
    if (on_done) {
      on_done(done, done.slot == no_slot ? std::vector<std::uint64_t>{}
                                         : node.slots.at(done.slot).blocks);
    }
    if (done.status != ClientStatus::ok) return;
    client_.open.erase(done.request.value());
    client_.seen = std::max(client_.seen.value_or(Position{}), done.seen);
  } else if (const auto* reply = std::get_if<command::AttachReply>(&command)) {
    if (client_.link != reply->link) return;
    if (reply->reply.status == ClientStatus::ok) client_.proved_by = reply->reply.epoch;
    else client_.link.reset();
  }
}

// --- links ---

void Cluster::send(ModelNode& node, const command::Send& send) {
  const auto found = links_.find(send.link.value());
  if (found == links_.end()) return;  // a link that has ended takes everything with it
  Wire wire{send.link, send.envelope, send.message, {}, {}, {}, {}, false, {}};
  if (auto* reply = std::get_if<message::HelloReply>(&wire.message)) {
    wire.facts = std::make_shared<const ReplicaFacts>(*reply->facts);
  }
  if (auto* start = std::get_if<message::StartRebuild>(&wire.message)) {
    wire.terms = std::make_shared<const TermTable>(*start->terms);
  }
  if (auto* base = std::get_if<message::BaseRequests>(&wire.message)) {
    wire.requests = std::make_shared<const RequestTables>(*base->tables);
  }
  if (auto* append = std::get_if<message::Append>(&wire.message)) {
    if (append->slot != no_slot) {
      wire.payload = node.slots.at(append->slot);
      wire.has_payload = true;
    }
  }
  frames_[{node.id.value(), send.envelope.to.value()}].push_back(wire);
}

void Cluster::deliver(Wire wire) {
  const auto found = links_.find(wire.link.value());
  if (found == links_.end()) return;
  ModelNode& target = node(wire.envelope.to.value());
  if (!target.alive) return;
  if (auto* reply = std::get_if<message::HelloReply>(&wire.message)) {
    reply->facts = wire.facts.get();
  }
  if (auto* start = std::get_if<message::StartRebuild>(&wire.message)) {
    start->terms = wire.terms.get();
  }
  if (auto* base = std::get_if<message::BaseRequests>(&wire.message)) {
    base->tables = wire.requests.get();
  }
  if (auto* map = std::get_if<message::BaseMap>(&wire.message); map && !wire.lines.empty()) {
    map->slot = target.slots.lend(Payload{0, {}, 0, wire.lines});
  }
  if (wire.has_payload) {
    const Slot slot = target.slots.lend(wire.payload);
    if (auto* append = std::get_if<message::Append>(&wire.message)) append->slot = slot;
    if (auto* base = std::get_if<message::BaseBlocks>(&wire.message)) base->slot = slot;
  }
  feed(target, event::Received{wire.link, &wire.envelope, &wire.message});
}

bool Cluster::next_frame(ReplicaId from, ReplicaId to, Fate fate) {
  std::deque<Wire>& queue = frames_[{from.value(), to.value()}];
  if (queue.empty()) return false;
  if (fate == Fate::swap && queue.size() > 1) std::swap(queue[0], queue[1]);
  const Wire wire = queue.front();
  queue.pop_front();
  if (fate == Fate::drop) return true;
  deliver(wire);
  if (fate == Fate::twice) deliver(wire);
  return true;
}

void Cluster::close_link(LinkId link, ReplicaId except) {
  const auto found = links_.find(link.value());
  if (found == links_.end()) return;
  const LinkState state = found->second;
  links_.erase(found);
  if (state.dialler != except && node(state.dialler.value()).alive) {
    dialling_.insert({state.dialler.value(), state.acceptor.value()});
    feed(node(state.dialler.value()), event::PeerDown{state.acceptor, link});
  }
  if (state.acceptor != except && node(state.acceptor.value()).alive) {
    feed(node(state.acceptor.value()), event::LinkClosed{link});
  }
}

bool Cluster::dial_pending() {
  for (const Direction& direction : std::set<Direction>(dialling_)) {
    const auto [from, to] = direction;
    if (!node(from).alive) {
      dialling_.erase(direction);
      continue;
    }
    if (!node(to).alive || broken_links_.contains(direction)) continue;
    dialling_.erase(direction);
    const LinkId link{next_link_++};
    links_[link.value()] = LinkState{ReplicaId{from}, ReplicaId{to}};
    feed(node(from), event::PeerUp{ReplicaId{to}, link});
    return true;
  }
  return false;
}

void Cluster::break_link(std::uint64_t a, std::uint64_t b) {
  broken_links_.insert({a, b});
  broken_links_.insert({b, a});
  drop_frames(a, b);
  drop_frames(b, a);
  for (const auto& [link, state] : std::map<std::uint64_t, LinkState>(links_)) {
    const Direction ends{state.dialler.value(), state.acceptor.value()};
    if (ends == Direction{a, b} || ends == Direction{b, a}) close_link(LinkId{link}, ReplicaId{0});
  }
}

void Cluster::heal(std::uint64_t a, std::uint64_t b) {
  broken_links_.erase({a, b});
  broken_links_.erase({b, a});
}

void Cluster::hold(std::uint64_t from, std::uint64_t to, bool on) {
  if (on) held_.insert({from, to});
  else held_.erase({from, to});
}

void Cluster::drop_frames(std::uint64_t from, std::uint64_t to) { frames_[{from, to}].clear(); }

// --- streams ---

void Cluster::stream(ModelNode& node, const command::StreamLog& stream) {
  const ModelDisk& disk = node.disk;
  const bool readable = stream.from > disk.trimmed && stream.upto <= disk.written;
  if (!readable) {
    node.completions.push_back(event::LogStreamed{stream.peer, stream.session, Lsn{}, false});
    return;
  }
  const Lsn upto = std::min(stream.upto, stream.from + LsnCount{7});  // several chunks
  for (Lsn lsn = stream.from; lsn <= upto; lsn = lsn.next()) {
    const ModelRecord& record = disk.record(lsn);
    Wire wire{stream.link, stream.envelope,
              message::Append{record.header, no_slot, stream.committed, stream.stable, Instant{}},
              {}, {}, {}, false, {}};
    if (has_payload(record.header)) {
      wire.payload = Payload{record.value, {}, 0, {}};
      wire.has_payload = true;
    }
    frames_[{node.id.value(), stream.peer.value()}].push_back(wire);
  }
  node.completions.push_back(event::LogStreamed{stream.peer, stream.session, upto, true});
}

// Few blocks a range, so that a walk has several.
void Cluster::read_base_map(ModelNode& node, const command::ReadBaseMap& read) {
  const Lba end{node.disk.size.value()};
  const Lba upto = read.from < Lba{4} ? read.from + BlockCount{2} : end;
  Wire wire{read.link, read.envelope, message::BaseMap{read.from, upto, 0, no_slot}, {}, {}, {}, {},
            false, node.disk.lines(read.from, upto, read.since)};
  std::get<message::BaseMap>(wire.message).lines = static_cast<std::uint32_t>(wire.lines.size());
  frames_[{node.id.value(), read.envelope.to.value()}].push_back(wire);
  node.completions.push_back(event::BaseMapRead{read.session, true});
}

void Cluster::send_base(ModelNode& node, const command::SendBase& send) {
  ModelNode::BaseCursor& cursor = node.base_cursors.at(send.peer.value());
  Lba upto = cursor.upto;
  bool done = true;
  for (std::uint32_t i = 0; i < send.extents_max; ++i) {
    const auto next = next_difference(cursor.ours, cursor.theirs, cursor.upto, cursor.at);
    done = !next.has_value();
    if (done) break;
    upto = *next + BlockCount{1};
    const auto found = node.disk.base.find(next->value());
    const BaseBlock content = found == node.disk.base.end() ? BaseBlock{} : found->second;
    cursor.digest = digest_next(cursor.digest, next->value(), content);
    const bool present = content.value != 0;
    Wire wire{send.link, send.envelope,
              message::BaseBlocks{++cursor.sequence, *next, content.last_lsn,
                                  present ? std::uint64_t{1} : 0, no_slot},
              {}, {}, {}, Payload{content.value, {}, 0, {}}, present, {}};
    frames_[{node.id.value(), send.peer.value()}].push_back(wire);
  }
  if (done) upto = cursor.upto;
  node.completions.push_back(event::BaseSent{send.peer, send.session, true, cursor.sequence, done,
                                             upto, cursor.digest, cursor.compared,
                                             cursor.map_digest});
}

}  // namespace seawall::walk
