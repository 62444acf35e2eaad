#include "engine/requests.h"

#include <algorithm>
#include <utility>

#include "engine/base/mutant.h"
#include "engine/primary.h"

namespace seawall {
namespace {

constexpr std::uint8_t log_full_percent = 96;  // the rest is for control records
constexpr int appends_per_step = 16;           // the rest follows when these are written

RecordKind kind_of(ClientOp op) {
  switch (op) {
    case ClientOp::write: return RecordKind::write;
    case ClientOp::discard: return RecordKind::discard;
    case ClientOp::write_zeroes: return RecordKind::write_zeroes;
    case ClientOp::read:
    case ClientOp::flush: break;
  }
  UNREACHABLE("not a record");
}

bool well_formed(const ClientRequest& request, BlockCount size) {
  if (request.op == ClientOp::flush) return request.slot == no_slot;
  const std::uint64_t most = request.op == ClientOp::read || request.op == ClientOp::write
                                 ? limits::record_blocks_max
                                 : limits::discard_bytes_max / limits::block_bytes;
  if (request.blocks.is_zero() || request.blocks.value() > most) return false;
  if (request.lba.value() >= size.value()) return false;
  if (request.blocks.value() > size.value() - request.lba.value()) return false;
  return (request.op == ClientOp::write) == (request.slot != no_slot);
}

bool overlap(Lba a, BlockCount a_blocks, Lba b, BlockCount b_blocks) {
  return a < b + b_blocks && b < a + a_blocks;
}

}  // namespace

// --- the gate ---

// Nothing of the data path leaves but through here, and not without a lease; in order.
void Requests::answer(const Asker& asker, ClientStatus status, Position seen, Slot slot) {
  if (!asker.listens) {
    context_.drop(slot);
    return;
  }
  const ClientDone done{asker.attachment, asker.connection, asker.request, status,
                        primary_.epoch(), seen,             slot};
  if (held_.empty() && primary_.has_lease()) {
    leave(asker.link, done);
    return;
  }
  ++context_.counters.lease_holds;
  held_.push_back({asker.link, done});
}

void Requests::leave(LinkId link, const ClientDone& done) {
  context_.emit(command::Complete{link, done});
  context_.drop(done.slot);
}

// A refusal shows nothing of the volume: it needs no lease.
void Requests::refuse(LinkId link, const ClientRequest& request, ClientStatus status) {
  context_.drop(request.slot);
  context_.emit(command::Complete{
      link, ClientDone{request.attachment, request.connection, request.request, status,
                       primary_.epoch(), Position{}, no_slot}});
}

// --- admission ---

void Requests::on_asked(LinkId link, const ClientRequest& request) {
  const AttachmentConnection* open_now = attachments_.connection(request.attachment);
  RequestTable* table = attachments_.tables().find(request.attachment);
  if (open_now == nullptr || table == nullptr || open_now->link != link ||
      open_now->connection != request.connection) {
    refuse(link, request, ClientStatus::stale_connection);
    return;
  }
  if (!well_formed(request, context_.facts.size)) {
    refuse(link, request, ClientStatus::out_of_range);
    return;
  }
  table->raise_low_mark(request.low_mark);
  if (request.request < table->low_mark) {
    refuse(link, request, ClientStatus::below_low_mark);
    return;
  }
  if (request.op != ClientOp::read && request.op != ClientOp::flush) {
    const std::optional<Lsn> known = table->find(request.request);
    if (known && !MUTANT(M81)) {
      answer_known(link, request, *known);
      return;
    }
    if (request.request.value() - table->low_mark.value() >= limits::request_table_max) {
      refuse(link, request, ClientStatus::busy);
      return;
    }
  }
  if (open() >= open_max) {
    refuse(link, request, ClientStatus::busy);
    return;
  }
  switch (request.op) {
    case ClientOp::read: admit_read(link, request); break;
    case ClientOp::flush: admit_flush(link, request); break;
    case ClientOp::write:
    case ClientOp::discard:
    case ClientOp::write_zeroes: admit_record(link, request); break;
  }
}

// A request that is in the log already takes effect once: it is answered, not appended.
void Requests::answer_known(LinkId link, const ClientRequest& request, Lsn lsn) {
  const Asker asker{link, request.attachment, request.connection, request.request};
  for (OpenRecord& record : records_) {
    if (record.lsn != lsn) continue;
    if (record.asker.listens) ++context_.counters.unexpected;  // twice on one connection
    record.asker = asker;
    context_.drop(request.slot);
    return;
  }
  if (open() >= open_max) {
    refuse(link, request, ClientStatus::busy);
    return;
  }
  context_.drop(request.slot);
  const Lsn needs = request.fua || primary_.completes_when_stable() ? lsn : Lsn{};
  flushes_.push_back({needs, lsn, asker});
  if (needs > Lsn{}) primary_.want_barrier(needs);
}

void Requests::admit_record(LinkId link, const ClientRequest& request) {
  if (!waiting_.empty() || !may_append(context_.now) || appended_ >= appends_per_step) {
    waiting_.push_back({link, request, context_.now});
    return;
  }
  append(link, request);
}

bool Requests::log_has_room() const {
  return context_.fill_percent < log_full_percent && !context_.log.full(context_.facts);
}

bool Requests::may_append(Instant since) const {
  return log_has_room() && primary_.throttle().open(context_.now, since);
}

// Its client has been told of an error meanwhile and may have read the blocks since: what was
// absent then must stay so.
bool Requests::given_up(const ClientRequest& request) const {
  const RequestTable* table = attachments_.tables().find(request.attachment);
  return table != nullptr && request.request < table->low_mark;
}

void Requests::append(LinkId link, const ClientRequest& request) {
  RecordHeader header;
  header.kind = kind_of(request.op);
  header.flags = request.fua ? record_flag_fua : 0;
  header.attachment = request.attachment;
  header.request = request.request;
  // What this primary knows of it, not what the client knew when it asked: so no table overflows.
  const RequestTable* table = attachments_.tables().find(request.attachment);
  header.low_mark = table != nullptr ? table->low_mark : request.low_mark;
  header.argument = attachments_.other_than(request.attachment).value();
  header.lba = request.lba;
  header.blocks = request.blocks;
  header.payload_digest = request.op == ClientOp::write ? request.payload_digest : 0;
  ++appended_;
  const Lsn lsn = primary_.append_record(header, request.slot);
  primary_.throttle().spend(payload_bytes(header).value() + limits::block_bytes, context_.now);
  records_.push_back({lsn, request.lba, request.blocks, request.fua,
                      {link, request.attachment, request.connection, request.request}});
  if (request.fua || primary_.completes_when_stable()) primary_.want_barrier(lsn);
}

// Completes when everything that completed before it is stable.
void Requests::admit_flush(LinkId link, const ClientRequest& request) {
  const Lsn target = completed_;
  flushes_.push_back(
      {target, target, {link, request.attachment, request.connection, request.request}});
  primary_.want_barrier(target);
}

// --- reads ---

// The newest record over these blocks that could not have completed yet; lsn 0: none.
Lsn Requests::overlapped(Lba lba, BlockCount blocks) const {
  const Lsn visible = primary_.visible();
  Lsn newest;
  for (const OpenRecord& record : records_) {
    if (record.lsn > visible && overlap(record.lba, record.blocks, lba, blocks)) {
      newest = record.lsn;
    }
  }
  return newest;
}

void Requests::admit_read(LinkId link, const ClientRequest& request) {
  OpenRead read;
  read.token = next_read_++;
  read.lba = request.lba;
  read.blocks = request.blocks;
  read.wait = overlapped(request.lba, request.blocks);
  read.asker = {link, request.attachment, request.connection, request.request};
  OpenRead& place = reads_.push_back(read);
  if (place.wait == Lsn{0}) issue(place);
}

// A disk that hangs keeps what it was asked, however often its clients come anew: the rest waits.
void Requests::issue(OpenRead& read) {
  read.issued = reads_out_ < reads_out_max;
  if (!read.issued) return;
  ++reads_out_;
  context_.emit(command::ReadData{read.token, read.lba, read.blocks});
}

void Requests::on_read_done(const event::ReadDone& done) {
  CHECK(reads_out_ > 0);
  --reads_out_;
  for (std::size_t i = 0; i < reads_.size(); ++i) {
    OpenRead& read = reads_[i];
    if (read.token != done.token) continue;
    CHECK(read.issued);
    if (done.errc != Errc::ok) {
      context_.drop(done.slot);
      const bool bad = done.errc == Errc::corrupt || done.errc == Errc::io_error;
      if (!bad || !primary_.repair_read(read.token, read.lba, read.blocks)) fail_read(i);
      return;
    }
    primary_.read_is_over(read.token);
    read.ready = true;
    read.slot = done.slot;
    // The disk may have shown a record that was appended meanwhile and is not committed.
    read.wait = overlapped(read.lba, read.blocks);
    if (read.wait == Lsn{0}) finish_read(i);
    return;
  }
  context_.drop(done.slot);  // nobody waits any more
}

void Requests::fail_read(std::size_t index) {
  const Asker asker = reads_[index].asker;
  reads_.erase_at(index);
  answer(asker, ClientStatus::io_error, primary_.position_seen(), no_slot);
}

void Requests::on_unreadable(std::uint64_t token) {
  for (std::size_t i = 0; i < reads_.size(); ++i) {
    if (reads_[i].token == token) return fail_read(i);
  }
}

bool Requests::read_again(std::uint64_t token) {
  for (OpenRead& read : reads_) {
    if (read.token != token) continue;
    issue(read);
    return true;
  }
  return false;
}

void Requests::finish_read(std::size_t index) {
  const OpenRead read = reads_[index];
  reads_.erase_at(index);
  Position seen = primary_.position_seen();
  if (MUTANT(M112)) seen.lsn = primary_.term_start();
  answer(read.asker, ClientStatus::ok, seen, read.slot);
}

// --- progress ---

void Requests::release_records() {
  while (!records_.empty()) {
    const OpenRecord& front = records_.front();
    const std::optional<Lsn> reached =
        front.fua && !MUTANT(M07) ? primary_.stable() : std::optional<Lsn>(primary_.visible());
    if (!reached || *reached < front.lsn) return;
    const OpenRecord record = records_.pop_front();
    completed_ = std::max(completed_, record.lsn);
    answer(record.asker, ClientStatus::ok, Position{primary_.epoch(), record.lsn}, no_slot);
  }
}

void Requests::release_flushes() {
  const std::optional<Lsn> stable = primary_.stable();
  for (std::size_t i = 0; i < flushes_.size();) {
    const OpenFlush flush = flushes_[i];
    const bool reached = flush.target == Lsn{0} || (stable && *stable >= flush.target);
    const bool done = reached || MUTANT(M08);
    if (!done) {
      ++i;
      continue;
    }
    flushes_.erase_at(i);
    const Position seen{primary_.epoch(), std::max(flush.seen, primary_.term_start())};
    answer(flush.asker, ClientStatus::ok, seen, no_slot);
  }
}

void Requests::release_reads() {
  const Lsn visible = primary_.visible();
  for (std::size_t i = 0; i < reads_.size();) {
    OpenRead& read = reads_[i];
    const bool free = read.wait <= visible;
    if (free && read.ready) {
      finish_read(i);
      continue;
    }
    if (free && !read.issued) issue(read);
    ++i;
  }
}

void Requests::release() {
  while (!held_.empty() && primary_.has_lease()) {
    const Held held = held_.pop_front();
    leave(held.link, held.done);
  }
  release_records();
  release_flushes();
  release_reads();
  appended_ = 0;
  for (int left = appends_per_step; left > 0 && !waiting_.empty(); --left) {
    if (!may_append(waiting_.front().since)) break;
    const Waiting next = waiting_.pop_front();
    if (given_up(next.request)) refuse(next.link, next.request, ClientStatus::below_low_mark);
    else append(next.link, next.request);
  }
  if (waiting_.empty() || !primary_.throttle().on() || !log_has_room()) return;
  context_.want_wake(primary_.throttle().opens_at(context_.now, waiting_.front().since));
}

// --- ends ---

template <class Visit>
void Requests::forget(std::optional<AttachmentId> attachment, Visit visit) {
  const auto spared = [&](AttachmentId id) { return attachment && *attachment != id; };
  for (OpenRecord& record : records_) {
    if (spared(record.asker.attachment) || !record.asker.listens) continue;
    visit(record.asker.link, record.asker);
    record.asker.listens = false;
  }
  flushes_.erase_if([&](const OpenFlush& flush) {
    if (spared(flush.asker.attachment)) return false;
    visit(flush.asker.link, flush.asker);
    return true;
  });
  reads_.erase_if([&](const OpenRead& read) {
    if (spared(read.asker.attachment)) return false;
    if (read.ready) context_.drop(read.slot);
    visit(read.asker.link, read.asker);
    return true;
  });
  for (std::size_t left = waiting_.size(); left > 0; --left) {
    const Waiting next = waiting_.pop_front();
    if (spared(next.request.attachment)) {
      waiting_.push_back(next);
      continue;
    }
    context_.drop(next.request.slot);
    visit(next.link, Asker{next.link, next.request.attachment, next.request.connection,
                           next.request.request});
  }
  for (std::size_t left = held_.size(); left > 0; --left) {
    const Held next = held_.pop_front();
    if (spared(next.done.attachment)) {
      held_.push_back(next);
      continue;
    }
    context_.drop(next.done.slot);
    visit(next.link,
          Asker{next.link, next.done.attachment, next.done.connection, next.done.request});
  }
}

void Requests::end_connection(AttachmentId attachment) {
  forget(attachment, [](LinkId, const Asker&) {});
}

void Requests::revoke(AttachmentId attachment) {
  forget(attachment, [this](LinkId link, const Asker& asker) {
    context_.emit(command::Complete{
        link, ClientDone{asker.attachment, asker.connection, asker.request,
                         ClientStatus::detached, primary_.epoch(), Position{}, no_slot}});
  });
}

void Requests::fail_all(ClientStatus status) {
  forget(std::nullopt, [&](LinkId link, const Asker& asker) {
    context_.emit(command::Complete{
        link, ClientDone{asker.attachment, asker.connection, asker.request, status,
                         primary_.epoch(), Position{}, no_slot}});
  });
  records_.clear();
  CHECK(open() == 0);
}

}  // namespace seawall
