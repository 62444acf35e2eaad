#include "node/runtime/executor.h"

#include <algorithm>
#include <type_traits>
#include <utility>
#include <variant>

namespace seawall::runtime {
namespace {

// Commands that need the Store; while it works for itself they wait.
template <class T>
constexpr bool touches_store =
    std::is_same_v<T, command::AppendLog> || std::is_same_v<T, command::FlushLog> ||
    std::is_same_v<T, command::SetFoldLimit> || std::is_same_v<T, command::PinLog> ||
    std::is_same_v<T, command::UnpinLog> || std::is_same_v<T, command::WriteSuper> ||
    std::is_same_v<T, command::RewindLog> || std::is_same_v<T, command::StreamLog> ||
    std::is_same_v<T, command::FreezeBase> || std::is_same_v<T, command::SendBase> ||
    std::is_same_v<T, command::ThawBase> || std::is_same_v<T, command::PrepareRebuild> ||
    std::is_same_v<T, command::ReadBaseMap> || std::is_same_v<T, command::WriteBase> ||
    std::is_same_v<T, command::FlushBase> ||
    std::is_same_v<T, command::ReadData> || std::is_same_v<T, command::ServeRecord> ||
    std::is_same_v<T, command::ServeBlocks> || std::is_same_v<T, command::RepairLog> ||
    std::is_same_v<T, command::RepairBlocks> || std::is_same_v<T, command::DistrustBase>;

}  // namespace

Executor::Executor(Shard& shard, Self self, wal::Store& store, LinkTable& links,
                   PeerDialer& dialer, EventSink& sink)
    : shard_(shard),
      self_(self),
      store_(store),
      links_(links),
      dialer_(dialer),
      sink_(sink),
      log_(shard.pool, store),
      stream_(shard, links, store, sink),
      base_(shard, links, store, sink),
      repair_(shard, links, store),
      scrub_(shard, store, sink, self.scrub),
      reads_(std::make_unique<ObjectPool<Read, reads_max>>()) {}

Executor::~Executor() = default;

void Executor::run(const Commands& commands, Instant now) {
  now_ = now;
  for (const Command& command : commands) {
    const bool waits = std::visit(
        [this](const auto& c) {
          return exclusive_ != nullptr && touches_store<std::decay_t<decltype(c)>>;
        },
        command);
    if (waits) {
      hold(command);
    } else {
      carry_out(command);
    }
  }
}

void Executor::carry_out(const Command& command) {
  std::visit([this](const auto& c) { on(c); }, command);
}

std::vector<SlotRef> Executor::references(const command::RepairLog& repair) {
  std::vector<SlotRef> slots;
  for (const command::RepairPiece& piece : repair.pieces) {
    if (piece.slot == no_slot) continue;
    shard_.pool.ref(piece.slot);
    slots.emplace_back(shard_.pool, piece.slot);
  }
  return slots;
}

void Executor::hold(const Command& command) {
  Held held{command, {}, nullptr, nullptr, {}};
  Slot slot = no_slot;
  if (const auto* append = std::get_if<command::AppendLog>(&command)) slot = append->slot;
  if (const auto* write = std::get_if<command::WriteBase>(&command)) slot = write->blocks.slot;
  if (const auto* repair = std::get_if<command::RepairBlocks>(&command)) slot = repair->slot;
  if (const auto* repair = std::get_if<command::RepairLog>(&command)) {
    held.pieces = references(*repair);
  }
  if (slot != no_slot) {
    shard_.pool.ref(slot);
    held.slot = SlotRef(shard_.pool, slot);
  }
  if (auto* prepare = std::get_if<command::PrepareRebuild>(&held.command)) {
    held.terms = std::make_unique<TermTable>(*prepare->terms);
    prepare->terms = held.terms.get();
    held.requests = std::make_unique<RequestTables>(*prepare->requests);
    prepare->requests = held.requests.get();
  }
  held_.push_back(std::move(held));
}

void Executor::release_held() {
  std::vector<Held> held = std::exchange(held_, {});
  for (std::size_t i = 0; i < held.size(); ++i) {
    if (exclusive_ != nullptr) {  // one of them needs the Store for itself again
      held_.insert(held_.end(), std::make_move_iterator(held.begin() + static_cast<long>(i)),
                   std::make_move_iterator(held.end()));
      return;
    }
    carry_out(held[i].command);
  }
}

// --- the own log ---

void Executor::on(const command::AppendLog& c) { log_.append(c.header, c.slot); }
void Executor::on(const command::FlushLog&) { log_.flush(); }
void Executor::on(const command::SetFoldLimit& c) { store_.set_fold_limit(c.upto); }
void Executor::on(const command::PinLog& c) { store_.pin(c.pin, c.from); }
void Executor::on(const command::UnpinLog& c) { store_.unpin(c.pin); }

void Executor::on(const command::WriteSuper& c) {
  wal::SuperUpdate update;
  update.promised = c.promise;
  update.seen_epoch = c.seen_epoch;
  update.seen_revision = c.seen_revision;
  update.floor = c.floor;
  update.clear_floor = c.clear_floor;
  update.clear_marker = c.clear_marker;
  update.intact = c.intact;
  store_.write_super(update, c.token);
}

void Executor::on(const command::RewindLog& c) {
  log_.forget_held_beyond(c.to);
  begin_exclusive([this, to = c.to] { return store_.rewind_blocking(to); },
                  [this, to = c.to](Status status) {
                    log_.forget_beyond(to);
                    sink_.feed(event::RewindDone{status.has_value(), &store_.facts()});
                  });
}

// --- peers ---

void Executor::on(const command::DialPeer& c) { dialer_.dial(c.peer, c.version, now_); }
void Executor::on(const command::StopDialling& c) { dialer_.stop(c.peer); }

void Executor::on(const command::HangUp& c) {
  const Link* link = links_.find(c.link);
  LocalClient* local = link != nullptr ? link->local : nullptr;
  links_.erase(c.link);
  if (local != nullptr) {
    local->on_hung_up(c.link);
    return;
  }
  if (dialer_.hang_up(c.link) || link != nullptr) shard_.transport.close(c.link);
}

void Executor::on(const command::Send& c) {
  links_.send(c.link, encode(c.envelope, c.message, shard_.pool, shard_.scratch.meta));
}

void Executor::on(const command::StreamLog& c) { stream_.start(c); }

// --- rebuild ---

void Executor::on(const command::FreezeBase& c) { base_.freeze(c); }
void Executor::on(const command::CompareBase& c) { base_.compare(c); }
void Executor::on(const command::SendBase& c) { base_.send(c); }
void Executor::on(const command::ThawBase& c) { base_.thaw(c); }
void Executor::on(const command::ReadBaseMap& c) { base_.read_map(c); }
void Executor::on(const command::WriteBase& c) { base_.write(c); }
void Executor::on(const command::FlushBase& c) { base_.flush(c); }

void Executor::on(const command::PrepareRebuild& c) {
  log_.forget_held_beyond(Lsn{});
  base_.begin_rebuild(c.marker.session);
  CHECK(c.terms != nullptr && c.requests != nullptr);
  auto terms = std::make_shared<TermTable>(*c.terms);
  auto requests = std::make_shared<RequestTables>(*c.requests);
  begin_exclusive(
      [this, c, terms, requests] {
        return store_.prepare_rebuild_blocking(c.marker, c.floor, c.cut_term, c.cut_chain, *terms,
                                               *requests, c.keep_base);
      },
      [this, session = c.marker.session](Status status) {
        log_.forget_beyond(Lsn{});
        sink_.feed(event::RebuildPrepared{session, status.has_value(), &store_.facts(),
                                          &store_.requests()});
      });
}

// --- damage ---

void Executor::on(const command::RepairLog& c) {
  auto slots = std::make_shared<std::vector<SlotRef>>(references(c));
  std::vector<wal::RecordRepair> repairs;
  for (const command::RepairPiece& piece : c.pieces) {
    std::span<const std::byte> payload;
    if (piece.slot != no_slot) payload = shard_.pool.bytes(piece.slot);
    repairs.push_back({piece.lsn, payload});
  }
  begin_exclusive([this, repairs] { return store_.repair_log_blocking(repairs); },
                  [this, slots](Status status) {
                    slots->clear();
                    sink_.feed(event::LogRepaired{status.has_value(), store_.facts().damage,
                                                  store_.unknown()});
                  });
}

void Executor::on(const command::RepairBlocks& c) {
  shard_.pool.ref(c.slot);
  auto slot = std::make_shared<SlotRef>(shard_.pool, c.slot);
  auto any = std::make_shared<bool>(false);
  const std::span<const std::byte> bytes = shard_.pool.bytes(c.slot);
  begin_exclusive(
      [this, any, bytes, lba = c.lba]() -> Status {
        const Result<std::size_t> repaired = store_.repair_blocks_blocking(lba, bytes);
        if (!repaired.has_value()) return repaired.error();
        *any = *repaired > 0;
        return ok();
      },
      [this, slot, any, id = c.id](Status) {
        slot->reset();
        sink_.feed(event::BlocksRepaired{id, *any});
      });
}

// --- clients ---

void Executor::on(const command::AttachReply& c) {
  const Link* link = links_.find(c.link);
  if (link == nullptr) return;
  if (link->local != nullptr) {
    link->local->on_attach_reply(c.link, c.reply);
    return;
  }
  links_.send(c.link, encode(self_.volume, c.reply, link->connection, shard_.scratch.meta));
}

void Executor::on(const command::Complete& c) {
  const Link* link = links_.find(c.link);
  if (link == nullptr) return;
  if (link->local != nullptr) {
    link->local->on_done(c.link, c.done);
    return;
  }
  links_.send(c.link, encode(self_.volume, c.done, shard_.pool, shard_.scratch.meta));
}

void Executor::on(const command::ReadData& c) {
  if (reads_waiting_.empty() && begin_read(c)) return;
  CHECK_MSG(!reads_waiting_.full(), "more reads than all attachments may have");
  reads_waiting_.push_back(c);
}

bool Executor::begin_read(const command::ReadData& c) {
  if (reads_->available() == 0) return false;
  SlotRef slot(shard_.pool, shard_.pool.take(c.blocks.value() * limits::block_bytes));
  if (!slot) return false;
  Read* read = reads_->take();
  read->executor = this;
  read->token = c.token;
  read->op.lba = c.lba;
  read->op.blocks = c.blocks;
  read->op.into = shard_.pool.bytes(slot.slot());
  read->op.crcs = shard_.pool.crcs(slot.slot());
  read->op.owner = read;
  read->op.done = [](wal::ReadOp& op) {
    auto* self = static_cast<Read*>(op.owner);
    self->executor->reads_done_.push_back(self);
  };
  read->slot = std::move(slot);
  store_.read(read->op);
  return true;
}

void Executor::finish_reads() {
  while (!reads_done_.empty()) {
    Read* read = reads_done_.pop_front();
    event::ReadDone event{read->token, read->op.result, no_slot};
    if (read->op.result == Errc::ok) event.slot = read->slot.release();  // lent to the Core
    if (event.errc == Errc::corrupt && store_.map_is_rotten()) {  // no bytes can repair it
      sink_.feed(event::BlocksRotten{read->op.lba, read->op.blocks, true});
    }
    reads_->give_back(read);
    sink_.feed(event);
  }
  while (exclusive_ == nullptr && !reads_waiting_.empty() && begin_read(reads_waiting_.front())) {
    reads_waiting_.pop_front();
  }
}

void Executor::on(const command::DropSlot& c) { shard_.pool.unref(c.slot); }

// --- control ---

void Executor::on(const command::ReportFence& c) {
  CHECK(c.report != nullptr);
  shard_.control.send(control::Fenced{*c.report, self_.replica});
}
void Executor::on(const command::RefuseFence& c) {
  shard_.control.send(control::FenceRefused{self_.volume, self_.replica, c.promised});
}
void Executor::on(const command::RefuseAssignment& c) {
  shard_.control.send(control::AssignRefused{self_.volume, self_.replica, c.epoch, c.reason});
}
void Executor::on(const command::Propose& c) {
  shard_.control.send(control::Proposed{c.proposal, self_.replica});
}
void Executor::on(const command::RequestFailover& c) {
  shard_.control.send(control::FailoverWanted{self_.volume, self_.replica, c.epoch, c.reason});
}
void Executor::on(const command::WakeAt& c) {
  if (!tick_at_.has_value() || c.at < *tick_at_) tick_at_ = c.at;
}

// --- turns ---

void Executor::turn(Instant now) {
  now_ = now;
  finish_reads();
  scrub_.finish(now);
  turn_exclusive();
  if (closed_) return;
  if (exclusive_ == nullptr) {
    scrub_.turn(now);
    log_.retry();
    stream_.turn(now);
    base_.turn(now);
    repair_.turn();
  } else if (exclusive_->stage == Exclusive::Stage::quiescing) {
    stream_.turn(now);  // what was with the Store before still ends
    base_.turn(now);
  }
  if (exclusive_ == nullptr || exclusive_->stage == Exclusive::Stage::quiescing) {
    store_.pump(now);
    finish_reads();  // of holes: they ended inside pump(), and nothing else will wake this volume
  }
}

bool Executor::store_rests() const {
  return reads_->in_use() == 0 && !repair_.reading() && !scrub_.reading() &&
         !stream_.reading() && !base_.busy() &&
         store_.idle();
}

void Executor::begin_exclusive(std::function<Status()> work,
                               std::function<void(Status)> then) {
  CHECK(exclusive_ == nullptr);
  exclusive_ = std::make_shared<Exclusive>();
  exclusive_->work = std::move(work);
  exclusive_->then = std::move(then);
  store_.quiesce();
}

void Executor::turn_exclusive() {
  if (exclusive_ == nullptr) return;
  if (exclusive_->stage == Exclusive::Stage::quiescing && store_rests()) {
    exclusive_->stage = Exclusive::Stage::running;
    // The worker sees nothing of the executor but the work itself.
    std::shared_ptr<Exclusive> job = exclusive_;
    shard_.blocking.run([job] { job->status = job->work(); },
                        [job] { job->stage = Exclusive::Stage::done; });
  }
  if (exclusive_->stage != Exclusive::Stage::done) return;
  const std::shared_ptr<Exclusive> job = std::exchange(exclusive_, nullptr);
  job->then(job->status);
  if (exclusive_ == nullptr) release_held();
}

void Executor::close(bool clean, std::function<void(Status)> done) {
  if (exclusive_ != nullptr) {  // after what runs already
    const std::shared_ptr<Exclusive> job = exclusive_;
    job->then = [this, clean, done = std::move(done)](Status) {
      held_.clear();
      close(clean, done);
    };
    return;
  }
  log_.forget_held_beyond(Lsn{});
  begin_exclusive([this, clean] { return store_.close_blocking(clean); },
                  [this, done = std::move(done)](Status status) {
                    // What was asked meanwhile is nobody's: the Store goes, and its files with it.
                    closed_ = true;
                    held_.clear();
                    done(status);
                  });
}

bool Executor::take_tick(Instant now) {
  if (!tick_at_.has_value() || *tick_at_ > now) return false;
  tick_at_.reset();
  return true;
}

std::optional<Instant> Executor::wake_at(Instant now) const {
  std::optional<Instant> earliest = tick_at_;
  const auto at = [&](std::optional<Instant> instant) {
    if (instant.has_value() && (!earliest.has_value() || *instant < *earliest)) {
      earliest = instant;
    }
  };
  const bool running =
      exclusive_ != nullptr && exclusive_->stage != Exclusive::Stage::quiescing;
  if (!running) at(store_.wake_at());
  if (!reads_done_.empty()) at(now);
  if (exclusive_ == nullptr) at(scrub_.wake_at(now));
  // Memory and link room come without an event of this volume: look again soon.
  const bool short_of_room = !reads_waiting_.empty() || stream_.waiting() || base_.waiting() ||
                             repair_.waiting() ||
                             log_.held() > 0 || exclusive_ != nullptr;
  if (short_of_room) at(now + Duration{2});
  return earliest;
}

}  // namespace seawall::runtime
