#include "node/runtime/volume_host.h"

#include <algorithm>
#include <utility>

#include "engine/base/error.h"
#include "engine/engine.h"

namespace seawall::runtime {

// What the worker fills and the shard takes.
struct VolumeHost::Opening {
  Result<std::unique_ptr<wal::Store>> store = make_error(Errc::cancelled, "not opened");
  VolumeHost* host = nullptr;  // null: the host is gone
};

namespace {

// What happens to all volumes of a node at once, and to all nodes, spreads out.
Jitter jitter_of(const VolumeHostOptions& options) {
  const std::uint64_t process = mix64(options.process_start.value(), options.replica.value());
  return Jitter{mix64(process, options.volume.lo) | 1};
}

}  // namespace

VolumeHost::VolumeHost(Shard& shard, const VolumeHostOptions& options, wal::Disk& disk)
    : shard_(shard),
      options_(options),
      disk_(disk),
      links_(shard),
      dialer_(shard.transport, *this, jitter_of(options)),
      reopen_(jitter_of(options)) {}

VolumeHost::~VolumeHost() {
  CHECK(!stepping_);
  if (opening_ != nullptr) opening_->host = nullptr;
  if (armed_.has_value()) shard_.timers.cancel(*this);
  while (!pending_.empty()) end_loan(pending_.pop_front());
}

// --- life ---

void VolumeHost::open() {
  CHECK(state_ == State::idle);
  begin_opening();
}

// Each opening is a start of its own: what was promised to a winner of an earlier one is void.
void VolumeHost::begin_opening() {
  state_ = State::opening;
  reopen_.begun();
  opening_ = std::make_shared<Opening>();
  opening_->host = this;
  wal::OpenOptions options;
  options.incarnation = options_.incarnation;
  options.replica = options_.replica;
  options.boot = options_.boot;
  options.process_start = ProcessStart{options_.process_start.value() + openings_};
  options.after_failure = openings_ > 0;
  options.keep_log_percent = options_.keep_log_percent;
  ++openings_;
  wal::Sink& sink = *this;
  shard_.blocking.run(
      [opening = opening_, &disk = disk_, options, &sink] {
        opening->store = wal::Store::open_blocking(disk, options, sink);
      },
      [opening = opening_] {
        if (opening->host != nullptr) opening->host->on_opened();
      });
}

void VolumeHost::on_opened() {
  CHECK(state_ == State::opening);
  const std::shared_ptr<Opening> opening = std::exchange(opening_, nullptr);
  if (!opening->store.has_value()) {
    state_ = State::failed;
    reason_ = opening->store.error().what;
    reopen_.failed(shard_.clock.now(), opening->store.error());
    if (close_wanted_.has_value()) state_ = State::closed;
    else arm_timer(shard_.clock.now());
    return;
  }
  reopen_.opened(shard_.clock.now());
  reason_ = "";
  store_ = std::move(opening->store).value();
  core_memory_ = std::make_unique<std::byte[]>(Core::memory_bytes());
  CoreOptions core_options = options_.core;
  core_options.volume = options_.volume;
  core_options.jitter = jitter_of(options_);
  core_ = std::make_unique<Core>(core_options,
                                 std::span(core_memory_.get(), Core::memory_bytes()));
  executor_ = std::make_unique<Executor>(shard_,
                                         Executor::Self{options_.volume, options_.replica,
                                                        options_.scrub},
                                         *store_, links_, dialer_, *this);
  state_ = State::open;
  feed(event::Opened{&store_->facts(), &store_->requests(), store_->unknown()});
  take_early_control();
  if (remove_wanted_) remove();
  if (close_wanted_.has_value()) close(*close_wanted_);
}

// What the controller said meanwhile; after a failure also what it had said before.
void VolumeHost::take_early_control() {
  if (early_fence_.has_value()) feed(event::Fence{*early_fence_});
  early_fence_.reset();
  const std::optional<control::Assign> early = std::exchange(early_assignment_, std::nullopt);
  if (early.has_value()) {
    take_assignment(*early);
  } else if (assignment_.has_value()) {
    feed(event::Assigned{&assignment_->assignment});
  }
}

// The Store has failed, and the Core has said so to everybody: both go, and come back anew.
void VolumeHost::withdraw() {
  CHECK(state_ == State::open);
  state_ = State::withdrawing;
  if (!reopen_.due().has_value()) {  // the Core gave it up by itself: a rebuild could not go on
    reopen_.failed(shard_.clock.now(), make_error(Errc::io_error, "a rebuild could not be stored"));
    reason_ = reopen_.reason();
  }
  end_all_links();
  executor_->close(false, [this](Status) { withdrawn_ = true; });
}

void VolumeHost::maybe_reopen(Instant now) {
  if (state_ == State::open && core_->engine().context().log_failed && !reopen_.spent()) withdraw();
  if (withdrawn_) {
    withdrawn_ = false;
    release();
    state_ = close_wanted_.has_value() ? State::closed : State::failed;
  }
  if (state_ != State::failed || !reopen_.due().has_value()) return;
  if (now >= *reopen_.due()) begin_opening();
  else arm_timer(now);
}

void VolumeHost::close(bool clean) {
  switch (state_) {
    case State::idle:
    case State::failed: state_ = State::closed; return;
    case State::opening:
    case State::withdrawing: close_wanted_ = clean; return;
    case State::open: break;
    case State::closing:
    case State::closed: return;
  }
  state_ = State::closing;
  end_all_links();
  executor_->close(clean, [this](Status status) {
    state_ = State::closed;
    if (!status.has_value()) reason_ = status.error().what;
  });
}

void VolumeHost::end_all_links() {
  while (links_.size() > 0) {
    const LinkId link = links_.last();
    const Link entry = *links_.find(link);
    links_.erase(link);
    if (entry.local != nullptr) {
      entry.local->on_hung_up(link);
    } else if (!dialer_.peer_of(link).has_value()) {
      shard_.transport.close(link);
    }
  }
  dialer_.stop_all();
}

void VolumeHost::turn(Instant now) {
  maybe_reopen(now);
  if (executor_ == nullptr) return;
  dialer_.turn(now);
  executor_->turn(now);
  if (state_ == State::closed) return release();
  arm_timer(now);
}

// Closed: files may go, so nothing that knows the Disk stays.
void VolumeHost::release() {
  if (armed_.has_value()) shard_.timers.cancel(*this);
  armed_.reset();
  executor_.reset();
  core_.reset();
  store_.reset();
}

void VolumeHost::arm_timer(Instant now) {
  std::optional<Instant> at = executor_ != nullptr ? executor_->wake_at(now) : reopen_.due();
  const std::optional<Instant> dial = dialer_.wake_at();
  if (dial.has_value() && (!at.has_value() || *dial < *at)) at = dial;
  if (at == armed_) return;
  armed_ = at;
  if (at.has_value()) {
    shard_.timers.wake_at(*this, *at);
  } else {
    shard_.timers.cancel(*this);
  }
}

void VolumeHost::on_timer(Instant now) {
  armed_.reset();
  if (executor_ == nullptr || state_ != State::open) return;
  if (executor_->take_tick(now)) feed(event::Tick{});
}

// --- events ---

// For an event that no Core will see: what it would have lent is given back here.
void VolumeHost::end_loan(const Event& event) {
  Slot slot = no_slot;
  if (const auto* asked = std::get_if<event::ClientAsked>(&event)) slot = asked->request.slot;
  if (const auto* done = std::get_if<event::ReadDone>(&event)) slot = done->slot;
  if (slot != no_slot) shard_.pool.unref(slot);
}

void VolumeHost::feed(const Event& event) {
  if (state_ != State::open) {  // it closes: nothing is decided any more
    end_loan(event);
    return;
  }
  if (stepping_) {
    CHECK_MSG(std::holds_alternative<event::ClientOpened>(event) ||
                  std::holds_alternative<event::ClientClosed>(event) ||
                  std::holds_alternative<event::ClientAsked>(event),
              "only a local front end may speak inside a step");
    pending_.push_back(event);
    return;
  }
  step(event);
  while (!pending_.empty()) step(pending_.pop_front());
}

void VolumeHost::step(const Event& event) {
  stepping_ = true;
  const Instant now = shard_.clock.now();
  if (shard_.watcher != nullptr) shard_.watcher->before_step(*core_, event);
  core_->step(now, event, shard_.scratch.commands);
  if (shard_.watcher != nullptr) {
    shard_.watcher->after_step(*core_, event, shard_.scratch.commands);
  }
  foreground_.after_step(core_->engine().primary().on(), shard_.scratch.commands, now,
                         shard_.scratch.recoveries);
  executor_->run(shard_.scratch.commands, now);
  stepping_ = false;
}

// --- control ---

void VolumeHost::take_assignment(const control::Assign& assign) {
  const auto order = [](const Assignment& a) { return std::pair(a.epoch, a.revision); };
  if (assignment_.has_value() && order(assign.assignment) < order(assignment_->assignment)) {
    // One that comes late may name addresses that are nobody's by now; the core counts it.
    feed(event::Assigned{&assign.assignment});
    return;
  }
  assignment_ = assign;
  for (const control::ReplicaAddress& address : assign.addresses) {
    dialer_.set_address(address.replica, address.address);
  }
  feed(event::Assigned{&assignment_->assignment});
}

// What was left alone is tried again by a new epoch or an operator's word.
void VolumeHost::note_word(const Assignment& fresh) {
  std::uint32_t word = word_;
  for (const PeerEndpoint& endpoint : fresh.endpoints) {
    if (endpoint.replica == options_.replica) word = std::max(word, endpoint.word);
  }
  const bool first = epoch_heard_ == Epoch{};
  const bool newer = fresh.epoch > epoch_heard_ || word > word_;
  epoch_heard_ = std::max(epoch_heard_, fresh.epoch);
  word_ = word;
  if (first || !newer) return;
  const Instant now = shard_.clock.now();
  if (reopen_.try_anew(now) && state_ == State::failed) arm_timer(now);
}

void VolumeHost::assign(const control::Assign& assign) {
  const Assignment& fresh = assign.assignment;
  note_word(fresh);
  if (state_ == State::open) {
    take_assignment(assign);
  } else if (awaits_opening()) {
    const auto order = [](const Assignment& a) { return std::pair(a.epoch, a.revision); };
    if (!early_assignment_.has_value() ||
        order(early_assignment_->assignment) <= order(fresh)) {
      early_assignment_ = assign;
    }
  }
}

void VolumeHost::fence(const FenceRequest& request) {
  if (state_ == State::open) {
    feed(event::Fence{request});
  } else if (awaits_opening()) {
    if (!early_fence_.has_value() || early_fence_->epoch <= request.epoch) {
      early_fence_ = request;
    }
  }
}

std::optional<std::uint64_t> VolumeHost::accept_loss() {
  if (state_ != State::open || !core_->engine().primary().active()) return std::nullopt;
  const std::uint64_t missing = store_->unknown().size();
  if (missing > 0) feed(event::LostByWord{});
  return missing;
}

void VolumeHost::refuse(const ConfigRefusal& refusal) {
  feed(event::ProposalRefused{refusal});
}

void VolumeHost::remove() {
  remove_wanted_ = true;
  feed(event::Removed{});
}

ReplicaStatus VolumeHost::status() const {
  if (core_ != nullptr && state_ == State::open) {
    ReplicaStatus status = core_->status(shard_.clock.now());
    if (status.log_failed && *status.reason == '\0') status.reason = reason_;
    status.store_failures = reopen_.failures();
    status.given_up = status.log_failed && reopen_.spent();
    status.opening = store_->opening();
    return status;
  }
  ReplicaStatus status;
  status.volume = options_.volume;
  status.replica = options_.replica;
  status.log_failed = state_ == State::failed || state_ == State::withdrawing;
  status.store_failures = reopen_.failures();
  status.given_up = status.log_failed && reopen_.spent();
  switch (state_) {
    case State::idle:
    case State::opening: status.reason = "opening"; break;
    case State::withdrawing:
    case State::failed: status.reason = reason_; break;
    case State::open: break;
    case State::closing:
    case State::closed: status.reason = "closing"; break;
  }
  return status;
}

PrimaryIs VolumeHost::primary_is() const {
  PrimaryIs answer;
  answer.volume = options_.volume;
  if (core_ == nullptr || state_ != State::open) return answer;
  answer.epoch = core_->known_epoch();
  if (core_->known_primary() != ReplicaId{}) answer.primary = core_->known_primary();
  answer.serving_here = answer.primary == options_.replica && core_->status().serving;
  return answer;
}

// --- links ---

bool VolumeHost::adopt_peer(LinkId link, const Frame& hello) {
  if (state_ != State::open) return false;
  if (!links_.add(link, Link{LinkState::from_primary, nullptr, {}, 0})) {
    ++counters_.crowded;
    return false;
  }
  shard_.transport.adopt(link, *this);
  on_frame(link, hello);
  return true;
}

bool VolumeHost::adopt_client(LinkId link, const Frame& attach) {
  if (state_ != State::open) return false;
  if (!links_.add(link, Link{LinkState::from_client, nullptr, {}, 0})) {
    ++counters_.crowded;
    return false;
  }
  shard_.transport.adopt(link, *this);
  on_frame(link, attach);
  return true;
}

std::optional<LinkId> VolumeHost::open_local(LocalClient& client, const ClientAttach& attach) {
  if (state_ != State::open) return std::nullopt;
  const LinkId link = links_.next_local();
  if (!links_.add(link, Link{LinkState::from_client, &client, attach.connection, 0})) {
    ++counters_.crowded;
    return std::nullopt;
  }
  feed(event::ClientOpened{link, attach});
  return link;
}

void VolumeHost::ask_local(LinkId link, const ClientRequest& request) {
  if (state_ != State::open || links_.find(link) == nullptr) return;
  if (request.slot != no_slot) shard_.pool.ref(request.slot);  // lent to the Core
  feed(event::ClientAsked{link, request});
}

void VolumeHost::close_local(LinkId link) {
  if (links_.find(link) == nullptr) return;
  links_.erase(link);
  feed(event::ClientClosed{link});
}

void VolumeHost::on_connected(LinkId link) {
  const std::optional<ReplicaId> peer = dialer_.connected(link);
  if (!peer.has_value()) return;
  if (!links_.add(link, Link{LinkState::from_replica, nullptr, {}, 0})) {
    ++counters_.crowded;
    shard_.transport.close(link);
    dialer_.closed(link, shard_.clock.now());
    return;
  }
  feed(event::PeerUp{*peer, link});
}

void VolumeHost::on_closed(LinkId link) {
  const Link* entry = links_.find(link);
  if (entry == nullptr) {
    dialer_.closed(link, shard_.clock.now());  // an attempt that was refused
    return;
  }
  const Link ended = *entry;
  links_.erase(link);
  tell_closed(link, ended);
}

void VolumeHost::tell_closed(LinkId link, const Link& link_entry) {
  switch (link_entry.state) {
    case LinkState::from_replica: {
      const auto ended = dialer_.closed(link, shard_.clock.now());
      if (ended.has_value()) feed(event::PeerDown{ended->peer, link});
      return;
    }
    case LinkState::from_primary: feed(event::LinkClosed{link}); return;
    case LinkState::from_client: feed(event::ClientClosed{link}); return;
    case LinkState::fresh:
    case LinkState::from_server: return;
  }
}

// Our own close: the transport says nothing afterwards, so the Core is told here.
void VolumeHost::end_link(LinkId link, std::uint64_t HostCounters::*why) {
  ++(counters_.*why);
  const Link* entry = links_.find(link);
  shard_.transport.close(link);
  if (entry == nullptr) return;
  const Link ended = *entry;
  links_.erase(link);
  tell_closed(link, ended);
}

bool VolumeHost::admits(LinkId link, FrameType type) const {
  const Link* entry = links_.find(link);
  return entry != nullptr && runtime::admits(entry->state, type);
}

void VolumeHost::on_frame(LinkId link, const Frame& frame) {
  SlotRef payload(shard_.pool, frame.payload);
  Link* entry = links_.find(link);
  if (entry == nullptr || state_ != State::open) {
    shard_.transport.close(link);
    return;
  }
  if (!runtime::admits(entry->state, frame.header.type)) {
    return end_link(link, &HostCounters::unadmitted);
  }
  if (frame.header.volume != options_.volume) return end_link(link, &HostCounters::foreign);
  if (entry->state == LinkState::from_client) {
    receive_client(link, *entry, frame, payload);
  } else {
    receive_peer(link, frame, payload);
  }
}

void VolumeHost::receive_client(LinkId link, Link& entry, const Frame& frame, SlotRef& payload) {
  if (frame.header.type == FrameType::client_attach) {
    const Result<ClientAttach> attach = decode_client_attach(frame);
    if (!attach.has_value()) return end_link(link, &HostCounters::malformed);
    entry.connection = attach->connection;
    feed(event::ClientOpened{link, *attach});
    return;
  }
  if (frame.header.type == FrameType::who_is_primary) {
    links_.send(link, encode(primary_is(), shard_.scratch.meta));
    return;
  }
  const Result<ClientRequest> request = decode_client_request(frame, shard_.pool);
  if (!request.has_value()) return end_link(link, &HostCounters::malformed);
  if (executor_->log_crowded()) return end_link(link, &HostCounters::crowded);
  static_cast<void>(payload.release());  // lent to the Core, with the request
  feed(event::ClientAsked{link, *request});
}

void VolumeHost::receive_peer(LinkId link, const Frame& frame, SlotRef& payload) {
  const Result<PeerFrame> decoded = decode_peer(frame, shard_.pool, shard_.scratch.decode);
  if (!decoded.has_value()) return end_link(link, &HostCounters::malformed);
  if (frame.header.type == FrameType::append && executor_->log_crowded()) {
    return end_link(link, &HostCounters::crowded);
  }
  if (frame.header.type == FrameType::base_blocks && executor_->base_crowded()) {
    return end_link(link, &HostCounters::crowded);
  }
  static_cast<void>(payload.release());  // lent to the Core, with the message
  feed(event::Received{link, &decoded->envelope, &decoded->message});
}

// --- the Store ---

void VolumeHost::on_written(Lsn upto) {
  if (executor_ == nullptr) return;
  feed(event::LogWritten{upto});
  executor_->on_written(upto);
}
void VolumeHost::on_durable(Lsn upto) { feed(event::LogDurable{upto}); }
void VolumeHost::on_failed(Error error) {
  reason_ = error.what;
  reopen_.failed(shard_.clock.now(), error);
  feed(event::LogFailed{error.code});
}
void VolumeHost::on_super_written(std::uint64_t token) { feed(event::SuperWritten{token}); }
void VolumeHost::on_checkpointed(Lsn applied, Lsn trimmed) {
  feed(event::Checkpointed{applied, trimmed});
}
void VolumeHost::on_trim(Lsn applied, Lsn trimmed) {
  feed(event::Checkpointed{applied, trimmed});
}
void VolumeHost::on_log_space(std::uint8_t fill_percent) {
  feed(event::LogSpace{fill_percent});
}

}  // namespace seawall::runtime
