// Commands of the controller's desk and of the clients.
#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

#include "engine/config_change.h"
#include "tests/script/runner.h"

namespace seawall::script {

// replicas n=3 [spares=0] [policy=quorum|in-sync] [min_in_sync=1] [cache=none] [blocks=64]: spares
// are nodes that the configuration does not name
void Script::replicas(const Line& line) {
  const std::uint64_t count = line.number("n", 3);
  blocks_ = line.number("blocks", 64);
  config_ = Configuration{};
  for (std::uint64_t i = 1; i <= count; ++i) {
    config_.members.push_back(ReplicaId{i});
    config_.in_sync.push_back(ReplicaId{i});
    endpoints_[ReplicaId{i}] = 1;
  }
  config_.policy = line.has("policy") && line.options.at("policy") != "quorum" ? Policy::in_sync
                                                                              : Policy::quorum;
  config_.min_in_sync = static_cast<std::uint8_t>(line.number("min_in_sync", 1));
  if (line.has("cache")) config_.write_cache = WriteCache::none;
  if (line.has("heartbeat")) cluster.options.heartbeat = Duration{line.number("heartbeat", 250)};
  if (line.has("window")) cluster.options.live_window_bytes = line.number("window", 0);
  if (line.has("chunk")) {
    cluster.options.stream_bytes = static_cast<std::uint32_t>(line.number("chunk", 0));
  }
  if (line.has("columns")) {
    cluster.options.base_window = static_cast<std::uint32_t>(line.number("columns", 1));
  }
  if (line.has("jitter")) cluster.options.jitter = Jitter{line.number("jitter", 0)};
  if (line.has("floor")) cluster.options.throttle_floor = line.number("floor", 0);
  if (line.has("attachments")) {
    grants_.clear();
    for (const std::uint64_t id : parse_list(line.options.at("attachments"))) {
      grants_.push_back({AttachmentId{id}, NodeId{1}});
    }
  }
  const std::uint64_t all = count + line.number("spares", 0);
  for (std::uint64_t i = count; i < all; ++i) endpoints_[ReplicaId{i + 1}] = 1;
  if (line.has("spares") && config_.policy == Policy::quorum) config_.in_sync.clear();
  cluster.create(all, blocks_);
}

Assignment Script::make_assignment(const Line& line, std::uint64_t epoch, ReplicaId primary) {
  Assignment out;
  out.volume = cluster.volume;
  out.incarnation = cluster.incarnation;
  out.epoch = Epoch{epoch};
  if (line.has("members")) {
    config_.members.clear();
    for (const std::uint64_t id : parse_list(line.options.at("members"))) {
      config_.members.push_back(ReplicaId{id});
    }
  }
  if (line.has("in_sync")) {
    config_.in_sync.clear();
    for (const std::uint64_t id : parse_list(line.options.at("in_sync"))) {
      config_.in_sync.push_back(ReplicaId{id});
    }
  }
  if (line.has("attachments")) {
    grants_.clear();
    for (const std::uint64_t id : parse_list(line.options.at("attachments"))) {
      grants_.push_back({AttachmentId{id}, NodeId{1}});
    }
  }
  if (line.has("endpoint")) {  // replica:version
    const std::string& text = line.options.at("endpoint");
    const std::size_t colon = text.find(':');
    endpoints_[ReplicaId{parse_number(text.substr(0, colon))}] =
        parse_number(text.substr(colon + 1));
  }
  if (line.has("word")) ++words_[ReplicaId{line.number("word", 0)}];
  revision_ = line.number("revision", revision_ + 1);
  out.revision = Revision{revision_};
  out.primary = primary;
  out.config = config_;
  out.wish = wish_;
  for (const auto& [replica, version] : endpoints_) {
    out.endpoints.push_back({replica, EndpointVersion{version}, words_[replica]});
  }
  for (const AttachmentGrant& grant : grants_) out.attachments.push_back(grant);
  out.size = BlockCount{blocks_};
  Node& winner = cluster.node(primary);
  out.winner_start = winner.start;
  const auto report = cluster.reports.find(primary);
  if (report != cluster.reports.end() && report->second.epoch == out.epoch) {
    out.winner_position = position_of(report->second.facts);
    out.winner_start = report->second.facts.process_start;
  } else {
    out.winner_position = position_of(winner.store.facts(winner.start));
  }
  out.drains = line.has("drains");
  out.forced = line.has("forced");
  if (line.has("start")) out.winner_start = ProcessStart{line.number("start", 0)};
  if (line.has("position")) out.winner_position = parse_position(line.options.at("position"));
  cluster.newest = out;
  return out;
}

// assign EPOCH PRIMARY [to=1,2] [revision=] [in_sync=] [members=] [attachments=] [endpoint=2:2]
//   [start=] [position=lsn@term] [drains=yes] [forced=yes] [word=replica]; process starts count
//   from 101
void Script::assign(const Line& line) {
  const Assignment assignment =
      make_assignment(line, line.number_at(1), ReplicaId{line.number_at(2)});
  for (const ReplicaId id : targets(line, 3)) cluster.assign(assignment, id);
}

// tell NODE ...: the controller says again what it committed last, to nodes that have not heard it
void Script::tell(const Line& line) {
  if (!cluster.newest) throw std::runtime_error("nothing was assigned");
  const Assignment assignment = *cluster.newest;
  for (const ReplicaId id : targets(line, 1)) cluster.assign(assignment, id);
}

// fence EPOCH [REPLICA ...]
void Script::fence(const Line& line) {
  for (const ReplicaId id : targets(line, 2)) cluster.fence(Epoch{line.number_at(1)}, id);
}

// elect EPOCH [since_fence=] [since_enough=] [target= incumbent=] [assign] [to=]: asks promotion by
// the reports
void Script::elect(const Line& line) {
  std::vector<FenceReport> reports;
  for (const auto& [id, report] : cluster.reports) reports.push_back(report);
  PromotionFacts facts;
  facts.config = &config_;
  facts.pending = Epoch{line.number_at(1)};
  facts.record_epoch = Epoch{line.number("record_epoch", line.number_at(1))};
  facts.record_revision = Revision{line.number("record_revision", revision_)};
  facts.reports = reports;
  facts.since_fence = Duration{line.number("since_fence", 1'000)};
  facts.since_enough = Duration{line.number("since_enough", limits::choice_wait_ms_max)};
  if (line.has("target")) facts.target = ReplicaId{line.number("target", 0)};
  facts.incumbent = ReplicaId{line.number("incumbent", 0)};
  const PromotionDecision decision = decide_promotion(facts);
  if (decision.kind != PromotionKind::promote) {
    cluster.say(fmt::format("nobody: {}", decision.reason));
    return;
  }
  std::string set;
  for (const ReplicaId id : decision.config.in_sync) {
    set += (set.empty() ? "" : ",") + std::to_string(id.value());
  }
  cluster.say(fmt::format("elected {} at {}@{}{}{}", decision.winner.value(),
                          decision.winner_position.lsn.value(),
                          decision.winner_position.term.value(),
                          config_.policy == Policy::in_sync ? " in_sync=" + set : "",
                          decision.after_power_loss ? " after_power_loss" : ""));
  if (line.words.size() < 3 || line.word(2) != "assign") return;
  config_ = decision.config;
  Line plain = line;
  plain.options.erase("in_sync");
  Assignment assignment = make_assignment(plain, line.number_at(1), decision.winner);
  assignment.winner_position = decision.winner_position;
  assignment.winner_start = decision.winner_start;
  assignment.after_power_loss = decision.after_power_loss;
  cluster.newest = assignment;
  for (const ReplicaId id : targets(plain, 3)) cluster.assign(assignment, id);
}

// failover EPOCH [REPLICA ...]: fence those, wait a lease, elect among them, assign to them
void Script::failover(const Line& line) {
  fence(line);
  if (!cluster.manual) cluster.settle();
  cluster.advance(Duration{limits::lease_ms});
  Line choose = line;
  choose.words = {"elect", line.word(1), "assign"};
  for (std::size_t i = 2; i < line.words.size(); ++i) choose.words.push_back(line.words[i]);
  elect(choose);
}

// The newest assignment that anybody has.
const Assignment& Script::newest_assignment() {
  const Assignment* newest = nullptr;
  for (const auto& [id, node] : cluster.nodes()) {
    if (!node->assignment) continue;
    if (newest == nullptr || newest->epoch < node->assignment->epoch) newest = &*node->assignment;
  }
  if (newest == nullptr) throw std::runtime_error("nothing was assigned");
  return *newest;
}

// wish [members=] [policy=quorum|in-sync] [min_in_sync=] [cache=writeback|none] [to=]: what is left
// out stays; wish none: cancelled. The epoch goes on.
void Script::wish(const Line& line) {
  const Assignment known = newest_assignment();
  wish_.reset();
  if (line.words.size() < 2 || line.word(1) != "none") {
    wish_ = config_;
    wish_->in_sync.clear();
    if (line.has("members")) {
      wish_->members.clear();
      for (const std::uint64_t id : parse_list(line.options.at("members"))) {
        wish_->members.push_back(ReplicaId{id});
      }
    }
    if (line.has("policy")) {
      wish_->policy = line.options.at("policy") == "quorum" ? Policy::quorum : Policy::in_sync;
    }
    wish_->min_in_sync = static_cast<std::uint8_t>(line.number("min_in_sync", wish_->min_in_sync));
    if (line.has("cache")) {
      wish_->write_cache =
          line.options.at("cache") == "none" ? WriteCache::none : WriteCache::writeback;
    }
  }
  Line plain;
  Assignment assignment = make_assignment(plain, known.epoch.value(), known.primary);
  assignment.winner_start = known.winner_start;
  assignment.winner_position = known.winner_position;
  for (const ReplicaId id : targets(line, line.words.size())) cluster.assign(assignment, id);
}

// commit [to=]: the controller commits the last proposal
void Script::commit(const Line& line) {
  if (!cluster.proposal) throw std::runtime_error("nothing was proposed");
  const ConfigProposal proposal = *std::exchange(cluster.proposal, std::nullopt);
  if (!is_step(config_, wish_, proposal.wanted, newest_assignment().primary)) {
    throw std::runtime_error("what was proposed is no step");
  }
  config_ = proposal.wanted;
  if (wish_ && fulfils(config_, *wish_)) wish_.reset();
  const ReplicaId primary = [&] {
    for (const auto& [id, node] : cluster.nodes()) {
      if (node->assignment && node->assignment->epoch == proposal.epoch) {
        return node->assignment->primary;
      }
    }
    return ReplicaId{};
  }();
  Assignment assignment = make_assignment(line, proposal.epoch.value(), primary);
  const std::optional<Assignment>& known = cluster.node(primary).assignment;
  assignment.winner_start = known->winner_start;
  assignment.winner_position = known->winner_position;
  cluster.newest = assignment;
  for (const ReplicaId id : targets(line, 1)) cluster.assign(assignment, id);
}

// refuse [current=]: the controller refuses the last proposal
void Script::refuse(const Line& line) {
  if (!cluster.proposal) throw std::runtime_error("nothing was proposed");
  const ConfigProposal proposal = *std::exchange(cluster.proposal, std::nullopt);
  const ConfigRefusal refusal{cluster.volume, proposal.epoch, proposal.base,
                              Revision{line.number("current", proposal.base.value())}};
  for (const auto& [id, node] : cluster.nodes()) {
    if (node->core) cluster.step(*node, event::ProposalRefused{refusal});
  }
}

// --- clients ---

// attach NODE [att=1] [conn=] [seen=lsn@term|none]
void Script::attach(const Line& line) {
  ClientRow& client = cluster.client(AttachmentId{line.number("att", 1)});
  client.connection = ConnectionNumber{line.number("conn", client.connection.value() + 1)};
  if (line.has("seen")) {
    const std::string& text = line.options.at("seen");
    client.seen = text == "none" ? std::nullopt : std::optional(parse_position(text));
  }
  cluster.attach(client, ReplicaId{line.number_at(1)});
}

// OP [att=1] [at=0] [len=1] [fua] [low=] [times=] [paced=yes] [NAME]: a write of NAME to each block
void Script::do_request(const Line& line, ClientOp op, std::size_t first_word) {
  ClientRow& client = cluster.client(AttachmentId{line.number("att", 1)});
  ClientRequest request;
  request.op = op;
  request.attachment = client.attachment;
  request.request = RequestNumber{line.number("req", client.next_request)};
  client.next_request = std::max(client.next_request, request.request.value() + 1);
  request.low_mark = RequestNumber{line.number("low", 0)};
  if (op != ClientOp::flush) {
    request.lba = Lba{line.number("at", 0)};
    request.blocks = BlockCount{line.number("len", 1)};
  }
  Stamps payload;
  std::string name = "x" + std::to_string(request.request.value());
  for (std::size_t i = first_word; i < line.words.size(); ++i) {
    if (line.words[i] == "fua") request.fua = true;
    else name = line.words[i];
  }
  if (op == ClientOp::write) {
    if (!cluster.stamps.contains(name)) {
      cluster.stamps[name] = next_stamp_;
      cluster.names[next_stamp_++] = name;
    }
    payload.assign(request.blocks.value(), cluster.stamps.at(name));
  }
  client.requests[request.request.value()] = request;
  client.payloads[request.request.value()] = payload;
  for (std::uint64_t i = 0; i < line.number("times", 1); ++i) {
    if (i > 0) {
      request.request = RequestNumber{client.next_request++};
      client.requests[request.request.value()] = request;
      client.payloads[request.request.value()] = payload;
    }
    cluster.ask(client, request);
    if (line.has("paced")) cluster.settle();
  }
}

void Script::write(const Line& line) { do_request(line, ClientOp::write, 1); }
void Script::read(const Line& line) { do_request(line, ClientOp::read, 1); }
void Script::flush(const Line& line) { do_request(line, ClientOp::flush, 1); }
void Script::discard(const Line& line) { do_request(line, ClientOp::discard, 1); }
void Script::zeroes(const Line& line) { do_request(line, ClientOp::write_zeroes, 1); }

// resend REQUEST|open [att=1] [low=]
void Script::resend(const Line& line) {
  ClientRow& client = cluster.client(AttachmentId{line.number("att", 1)});
  if (line.word(1) == "open") {
    const std::set<std::uint64_t> open = client.open;
    for (const std::uint64_t request : open) cluster.ask(client, client.requests.at(request));
    return;
  }
  ClientRequest request = client.requests.at(line.number_at(1));
  request.low_mark = RequestNumber{line.number("low", 0)};
  cluster.ask(client, request);
}

}  // namespace seawall::script
