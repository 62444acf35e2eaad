#include "node/runtime/attachment.h"

#include <algorithm>
#include <utility>

#include "engine/base/chain.h"
#include "node/runtime/volume_host.h"
#include "wal/crc32c.h"

namespace seawall::runtime {
namespace {

std::uint64_t blocks_max(ClientOp op) {
  switch (op) {
    case ClientOp::read:
    case ClientOp::write: return limits::record_blocks_max;
    case ClientOp::flush: return 0;
    case ClientOp::discard:
    case ClientOp::write_zeroes: return limits::discard_bytes_max / limits::block_bytes;
  }
  return 0;
}

bool in_range(const ClientIo& io, BlockCount size) {
  const std::uint64_t blocks = io.blocks.value();
  if (blocks > blocks_max(io.op)) return false;
  if (io.op == ClientOp::flush) return true;
  return blocks > 0 && io.lba.value() <= size.value() &&
         blocks <= size.value() - io.lba.value();
}

// The only place where a client's bytes are summed before they are compared.
std::uint64_t sum_payload(const BufferPool& pool, Slot slot) {
  const std::span<const std::byte> bytes = pool.bytes(slot);
  const std::span<std::uint32_t> crcs = pool.crcs(slot);
  for (std::size_t i = 0; i < crcs.size(); ++i) {
    crcs[i] = wal::crc32c(bytes.subspan(i * limits::block_bytes, limits::block_bytes));
  }
  return digest_crcs(crcs);
}

}  // namespace

Attachment::Attachment(Shard& shard, LocalReplicas& local, AttachmentState& state, Done done)
    : shard_(shard),
      local_(local),
      state_(state),
      done_(std::move(done)),
      finder_(shard, *this),
      requests_storage_(std::make_unique<std::array<Request, open_max>>()),
      requests_(*requests_storage_) {}

Attachment::~Attachment() {
  end_link();
  if (armed_.has_value()) shard_.timers.cancel(*this);
}

std::size_t Attachment::open() const {
  return static_cast<std::size_t>(next_.value() - low_.value());
}

Duration Attachment::io_timeout() const {
  return view_.io_timeout_ms == 0 ? io_timeout_default : Duration{view_.io_timeout_ms};
}

// An idle attachment is owed nothing, however long ago the last answer was.
Instant Attachment::owed_since() {
  return std::max(last_answer_, at(low_).first_submitted);
}

const std::string* Attachment::address_of(ReplicaId replica) const {
  for (const control::ReplicaAddress& address : view_.addresses) {
    if (address.replica == replica && !address.address.empty()) return &address.address;
  }
  return nullptr;
}

// --- the controller's view ---

void Attachment::update(const control::AttachmentView& view) {
  const Instant now = shard_.clock.now();
  if (!has_view_) {
    has_view_ = true;
    const AttachmentMemory memory = state_.load();
    connection_ = memory.connection;
    low_ = next_ = unsent_ = memory.next_request;
    seen_ = memory.seen;
    proved_by_ = memory.proved_by;
  } else if (view.attachment < view_.attachment ||
             std::pair(view.epoch, view.revision) < std::pair(view_.epoch, view_.revision)) {
    return;  // an older one, late
  }
  view_ = view;
  state_.on_view(view);
  if (view.revoked) return end_detached();
  const bool newer = learn(view.epoch, view.primary);
  if (phase_ != Phase::searching && newer && view.epoch > epoch_) {
    give_up_link("the controller named another primary", now);
  }
  if (phase_ == Phase::searching) next_try_ = now;
}

bool Attachment::learn(Epoch epoch, ReplicaId primary) {
  if (primary == ReplicaId{} || epoch < known_epoch_) return false;
  if (epoch == known_epoch_ && known_primary_ != ReplicaId{}) return false;
  known_epoch_ = epoch;
  known_primary_ = primary;
  return true;
}

// --- finding the primary ---

void Attachment::hear(const PrimaryIs& answer, Instant now) {
  if (!answer.primary.has_value()) return;
  const bool newer = learn(answer.epoch, *answer.primary);
  if (phase_ == Phase::searching) {
    const bool serving = answer.serving_here && answer.epoch == known_epoch_;
    if (newer) next_try_ = now;
    if (serving && next_try_.has_value()) next_try_ = std::min(*next_try_, now + pause_min);
    return;
  }
  // A connection belongs to one epoch, also when the same replica leads the next one.
  if (newer && answer.epoch > epoch_) {
    give_up_link("a replica knows a newer epoch", now);
    next_try_ = now;
  }
}

void Attachment::ask_everybody(Instant now) {
  std::vector<control::ReplicaAddress> elsewhere;
  for (const control::ReplicaAddress& address : view_.addresses) {
    if (const VolumeHost* host = local_.find_replica(view_.volume, address.replica)) {
      hear(host->primary_is(), now);
    } else {
      elsewhere.push_back(address);
    }
  }
  if (finder_.running() && now >= asked_since_ + attempt_max) finder_.stop();
  if (!finder_.running()) asked_since_ = now;
  finder_.start(view_.volume, view_.incarnation, elsewhere);
}

ClientAttach Attachment::attach_message() {
  ClientAttach attach;
  attach.volume = view_.volume;
  attach.incarnation = view_.incarnation;
  attach.attachment = view_.attachment;
  attach.connection = connection_;
  attach.seen = seen_;
  attach.proved_by = proved_by_;
  return attach;
}

void Attachment::try_primary(Instant now) {
  CHECK(phase_ == Phase::searching);
  next_try_.reset();
  target_ = known_primary_;
  phase_since_ = now;
  if (VolumeHost* host = local_.find_replica(view_.volume, target_)) {
    connection_ = ConnectionNumber{connection_.value() + 1};
    state_.on_connection(connection_);
    link_ = host->open_local(*this, attach_message());
    if (link_.has_value()) {
      host_ = host;
      phase_ = Phase::attaching;
      return;
    }
  } else if (const std::string* address = address_of(target_)) {
    link_ = shard_.transport.dial(Endpoint{*address}, *this);
    phase_ = Phase::dialling;
    return;
  }
  give_up_link("no primary is known", now);
}

void Attachment::end_link() {
  if (link_.has_value()) {
    if (host_ != nullptr) {
      host_->close_local(*link_);
    } else if (!LinkTable::is_local(*link_)) {
      shard_.transport.close(*link_);
    }
  }
  link_.reset();
  host_ = nullptr;
}

void Attachment::requeue_sent() {
  for (RequestNumber n = low_; n < next_; n = RequestNumber{n.value() + 1}) {
    Request& request = at(n);
    if (request.state != RequestState::sent) continue;
    request.state = RequestState::queued;
    ++counters_.resent;
  }
  unsent_ = low_;
}

void Attachment::give_up_link(const char* reason, Instant now) {
  end_link();
  if (phase_ == Phase::connected) ++counters_.reconnects;
  phase_ = Phase::searching;
  reason_ = reason;
  requeue_sent();
  next_try_ = now + pause_;
  pause_ = std::min(pause_ + pause_, pause_max);
  ask_everybody(now);
}

void Attachment::become_connected(Epoch epoch, Instant now) {
  phase_ = Phase::connected;
  phase_since_ = now;
  last_answer_ = now;
  epoch_ = epoch;
  proved_by_ = epoch;
  pause_ = pause_min;
  next_try_.reset();
  reason_ = "";
  finder_.stop();
  learn(epoch, target_);
}

void Attachment::handle_reply(const ClientAttachReply& reply, Instant now) {
  if (phase_ != Phase::attaching) return;
  switch (reply.status) {
    case ClientStatus::ok: return become_connected(reply.epoch, now);
    case ClientStatus::detached: return end_detached();
    case ClientStatus::position_lost:
      return end_for_good("the volume lacks what this attachment has seen");
    case ClientStatus::stale_connection:
      // A daemon before this one got further; its numbers are not known here.
      connection_ = ConnectionNumber{connection_.value() * 2};
      return give_up_link("an older connection number", now);
    default: break;
  }
  const bool newer = learn(reply.known_epoch, reply.known_primary);
  give_up_link(reply.status == ClientStatus::not_serving ? "the primary does not serve yet"
                                                         : "not the primary",
               now);
  if (newer) next_try_ = now;
}

// --- requests ---

bool Attachment::submit(const ClientIo& io) {
  if (!has_view_ || ended_) return false;
  if (next_.value() - low_.value() >= open_max) return false;
  Request& request = at(next_);
  CHECK(request.state == RequestState::free);
  request.number = next_;
  request.io = io;
  request.first_submitted = shard_.clock.now();
  request.digest = 0;
  request.state = RequestState::queued;
  request.slot = SlotRef(shard_.pool, io.slot);
  next_ = RequestNumber{next_.value() + 1};
  state_.on_request({request.number, io.op, io.lba, io.blocks, request.first_submitted});
  ++counters_.submitted;
  if (!in_range(io, view_.size)) {
    finish(request, ClientStatus::out_of_range, {});
    return true;
  }
  CHECK((io.slot != no_slot) == (io.op == ClientOp::write));
  if (io.op == ClientOp::write) {
    CHECK(shard_.pool.bytes(io.slot).size() == io.blocks.value() * limits::block_bytes);
    request.digest = sum_payload(shard_.pool, io.slot);
  }
  return true;
}

void Attachment::send(Request& request) {
  ClientRequest wire;
  wire.op = request.io.op;
  wire.fua = request.io.fua;
  wire.attachment = view_.attachment;
  wire.connection = connection_;
  wire.request = request.number;
  wire.low_mark = low_;
  wire.lba = request.io.lba;
  wire.blocks = request.io.blocks;
  wire.slot = request.slot.slot();
  wire.payload_digest = request.digest;
  request.state = RequestState::sent;
  if (host_ != nullptr) {
    host_->ask_local(*link_, wire);
  } else {
    shard_.transport.send(*link_,
                          encode(view_.volume, wire, shard_.pool, shard_.scratch.meta));
  }
}

void Attachment::send_ready(Instant now) {
  if (resend_at_.has_value() && *resend_at_ <= now) {
    resend_at_.reset();
    unsent_ = low_;
  }
  if (unsent_ < low_) unsent_ = low_;
  // The primary's table of requests is bounded: nothing beyond its window is sent.
  const RequestNumber end{low_.value() + limits::request_table_max};
  while (phase_ == Phase::connected && unsent_ < next_ && unsent_ < end) {
    if (host_ == nullptr && LinkTable::is_local(*link_)) return;  // it hung up inside this loop
    Request& request = at(unsent_);
    unsent_ = RequestNumber{unsent_.value() + 1};
    if (request.state == RequestState::queued) send(request);
  }
}

void Attachment::handle_done(const ClientDone& done, SlotRef data, Instant now) {
  if (phase_ != Phase::connected || done.connection != connection_) return;
  last_answer_ = now;
  if (done.request < low_ || done.request >= next_) return;
  Request& request = at(done.request);
  if (request.state != RequestState::sent) return;
  switch (done.status) {
    case ClientStatus::ok: break;
    case ClientStatus::not_primary:
    case ClientStatus::not_serving: return give_up_link("the primary stepped down", now);
    case ClientStatus::stale_connection:
      return give_up_link("a newer connection took over", now);
    case ClientStatus::detached: return end_detached();
    case ClientStatus::position_lost:
      return end_for_good("the volume lacks what this attachment has seen");
    case ClientStatus::busy:
      request.state = RequestState::queued;
      if (!resend_at_.has_value()) resend_at_ = now + Duration{5};
      return;
    case ClientStatus::io_error:
    case ClientStatus::no_space:
    case ClientStatus::out_of_range:
    case ClientStatus::below_low_mark: return finish(request, done.status, {});
  }
  const std::size_t wanted =
      request.io.op == ClientOp::read ? request.io.blocks.value() * limits::block_bytes : 0;
  const std::size_t got = data ? shard_.pool.bytes(data.slot()).size() : 0;
  if (wanted != got) {
    ++counters_.malformed;
    return give_up_link("an answer of the wrong size", now);
  }
  if (!seen_.has_value() || *seen_ < done.seen) seen_ = done.seen;
  state_.on_seen(*seen_, proved_by_);  // before anybody hears of the completion
  finish(request, ClientStatus::ok, std::move(data));
}

void Attachment::finish(Request& request, ClientStatus status, SlotRef data) {
  request.state = RequestState::finished;
  request.status = status;
  request.slot = std::move(data);
  finished_.push_back(request.number);
}

void Attachment::deliver() {
  while (!finished_.empty()) {
    Request& request = at(finished_.pop_front());
    const std::uint64_t cookie = request.io.cookie;
    const ClientStatus status = request.status;
    const Slot slot = request.slot.release();
    const RequestNumber number = request.number;
    request.state = RequestState::free;
    while (low_ < next_ && at(low_).state == RequestState::free) {
      low_ = RequestNumber{low_.value() + 1};
    }
    ++(status == ClientStatus::ok ? counters_.completed : counters_.failed);
    done_(cookie, status, slot);
    state_.on_finished(number);
  }
}

void Attachment::end_for_good(const char* reason) {
  end_link();
  finder_.stop();
  phase_ = Phase::searching;
  ended_ = true;
  reason_ = reason;
  next_try_.reset();
  for (RequestNumber n = low_; n < next_; n = RequestNumber{n.value() + 1}) {
    Request& request = at(n);
    if (request.state == RequestState::queued || request.state == RequestState::sent) {
      finish(request, ClientStatus::io_error, {});
    }
  }
  armed_ = shard_.clock.now();  // the next turn delivers
  shard_.timers.wake_at(*this, *armed_);
}

void Attachment::end_detached() {
  detached_ = true;
  end_for_good("detached");
}

void Attachment::stop() {
  if (!ended_) end_for_good("detached");
}

// --- turns ---

void Attachment::check_deadlines(Instant now) {
  for (RequestNumber n = low_; n < next_; n = RequestNumber{n.value() + 1}) {
    Request& request = at(n);
    if (request.state == RequestState::free || request.state == RequestState::finished) continue;
    if (now < request.first_submitted + io_timeout()) break;  // later ones are younger
    ++counters_.timed_out;
    finish(request, ClientStatus::io_error, {});
  }
  const bool in_between = phase_ == Phase::dialling || phase_ == Phase::attaching;
  if (in_between && now >= phase_since_ + attempt_max) {
    give_up_link("the primary does not answer", now);
  }
  if (phase_ == Phase::connected && open() > 0 && now >= owed_since() + silence_max) {
    last_answer_ = now;
    ask_everybody(now);
  }
  if (phase_ == Phase::searching && next_try_.has_value() && *next_try_ <= now) {
    try_primary(now);
  }
}

void Attachment::handle_said(Instant now) {
  while (!said_.empty()) {
    Said said = said_.pop_front();
    if (said.kind == Said::Kind::hung_up) {
      if (said.link == link_) {
        link_.reset();
        give_up_link("the primary hung up", now);
      }
      continue;
    }
    if (said.link != link_) continue;  // of a link that is over
    if (said.kind == Said::Kind::attach_reply) {
      handle_reply(said.reply, now);
    } else {
      handle_done(said.done, std::move(said.slot), now);
    }
  }
}

void Attachment::turn(Instant now) {
  if (!has_view_) return;
  handle_said(now);
  if (!ended_) check_deadlines(now);
  handle_said(now);  // a host in this process may have answered at once
  deliver();
  if (!ended_) {
    send_ready(now);
    handle_said(now);
    deliver();
    arm_timer(now);
  }
}

void Attachment::wake_for_news(Instant now) {
  if (has_news()) arm_timer(now);
}

void Attachment::arm_timer(Instant now) {
  std::optional<Instant> earliest = next_try_;
  const auto at_most = [&](Instant instant) {
    if (!earliest.has_value() || instant < *earliest) earliest = instant;
  };
  if (resend_at_.has_value()) at_most(*resend_at_);
  if (phase_ == Phase::dialling || phase_ == Phase::attaching) at_most(phase_since_ + attempt_max);
  if (open() > 0) {
    at_most(at(low_).first_submitted + io_timeout());
    if (phase_ == Phase::connected) at_most(owed_since() + silence_max);
  }
  if (!finished_.empty() || !said_.empty()) at_most(now);
  if (earliest == armed_) return;
  armed_ = earliest;
  if (earliest.has_value()) {
    shard_.timers.wake_at(*this, *earliest);
  } else {
    shard_.timers.cancel(*this);
  }
}

void Attachment::on_timer(Instant now) {
  static_cast<void>(now);  // turn() follows every batch of callbacks
  armed_.reset();
}

// --- a primary elsewhere ---

void Attachment::on_connected(LinkId link) {
  if (finder_.owns(link)) return finder_.on_connected(link);
  if (link != link_) return;
  connection_ = ConnectionNumber{connection_.value() + 1};
  state_.on_connection(connection_);
  phase_ = Phase::attaching;
  shard_.transport.send(link, encode(attach_message(), shard_.scratch.meta));
}

bool Attachment::admits(LinkId link, FrameType type) const {
  if (finder_.owns(link)) return type == FrameType::primary_is;
  return link == link_ && runtime::admits(LinkState::from_server, type);
}

void Attachment::on_frame(LinkId link, const Frame& frame) {
  const Instant now = shard_.clock.now();
  SlotRef payload(shard_.pool, frame.payload);
  if (finder_.owns(link)) {
    if (const auto answer = finder_.on_frame(link, frame)) hear(*answer, now);
    return;
  }
  if (link != link_) return;
  if (frame.header.volume == view_.volume) {
    if (frame.header.type == FrameType::client_attach_reply) {
      if (const auto reply = decode_client_attach_reply(frame)) return handle_reply(*reply, now);
    } else if (frame.header.type == FrameType::client_done) {
      if (const auto done = decode_client_done(frame)) {
        return handle_done(*done, std::move(payload), now);
      }
    }
  }
  ++counters_.malformed;
  give_up_link("garbage from the primary", now);
}

void Attachment::on_closed(LinkId link) {
  if (finder_.owns(link)) return finder_.on_closed(link);
  if (link != link_) return;
  link_.reset();
  give_up_link("the link to the primary ended", shard_.clock.now());
}

// --- a primary in this process; inside its step: only noted ---

void Attachment::on_attach_reply(LinkId link, const ClientAttachReply& reply) {
  Said said;
  said.kind = Said::Kind::attach_reply;
  said.link = link;
  said.reply = reply;
  said_.push_back(std::move(said));
}

void Attachment::on_done(LinkId link, const ClientDone& done) {
  Said said;
  said.kind = Said::Kind::done;
  said.link = link;
  said.done = done;
  if (done.slot != no_slot) {
    shard_.pool.ref(done.slot);
    said.slot = SlotRef(shard_.pool, done.slot);
  }
  said_.push_back(std::move(said));
}

void Attachment::on_hung_up(LinkId link) {
  if (link == link_) host_ = nullptr;  // it may be gone before the next turn
  Said said;
  said.kind = Said::Kind::hung_up;
  said.link = link;
  said_.push_back(std::move(said));
}

}  // namespace seawall::runtime
