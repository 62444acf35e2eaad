#include "wal/super.h"

#include <cstring>

#include "engine/base/check.h"
#include "engine/base/mutant.h"
#include "wal/crc32c.h"

namespace seawall::wal {

void encode_super(const DiskSuper& super, std::span<std::byte> slot) {
  CHECK(slot.size() == super_slot_bytes);
  std::memset(slot.data(), 0, slot.size());
  DiskSuper copy = super;
  copy.magic = super_magic;
  copy.version = format_version;
  copy.crc = 0;
  std::memcpy(slot.data(), &copy, sizeof copy);
  copy.crc = crc32c(slot);
  std::memcpy(slot.data(), &copy, sizeof copy);
}

SlotState decode_super(std::span<const std::byte> slot, DiskSuper& super) {
  CHECK(slot.size() == super_slot_bytes);
  std::memcpy(&super, slot.data(), sizeof super);
  if (super.magic != super_magic) return SlotState::bad;
  const std::uint32_t stored = super.crc;
  DiskSuper zeroed = super;
  zeroed.crc = 0;
  std::uint32_t crc = crc32c(std::as_bytes(std::span(&zeroed, 1)));
  crc = crc32c(slot.subspan(sizeof super), crc);
  if (crc != stored) return SlotState::bad;
  if (super.version != format_version) return SlotState::unknown_version;
  const bool sane = super.term_count <= limits::folded_terms_max &&
                    super.aborted_count <= super_aborted_max &&
                    super.attachment_count <= limits::attachments_max && super.segment_count >= 4 &&
                    super.segment_bytes >= limits::segment_bytes_min && super.extent_bytes != 0;
  return sane ? SlotState::valid : SlotState::bad;
}

Result<LoadedSuper> load_super(Disk& disk, FileId file) {
  LoadedSuper loaded;
  AlignedBuffer buffer(super_slot_bytes);
  DiskSuper found[2];
  for (std::size_t slot = 0; slot < 2; ++slot) {
    if (!disk.read(file, slot * super_slot_bytes, buffer.span())) {
      loaded.slots[slot] = SlotState::unreadable;
      continue;
    }
    loaded.slots[slot] = decode_super(buffer.span(), found[slot]);
    if (loaded.slots[slot] == SlotState::unknown_version) {
      return make_error(Errc::unknown_version, "the super block has a version not known here",
                        found[slot].version);
    }
    if (loaded.slots[slot] == SlotState::valid) loaded.generations[slot] = found[slot].generation;
  }
  const bool valid0 = loaded.slots[0] == SlotState::valid;
  const bool valid1 = loaded.slots[1] == SlotState::valid;
  if (!valid0 && !valid1) return make_error(Errc::corrupt, "no valid slot in the super block");
  loaded.newest = valid1 && (!valid0 || loaded.generations[1] > loaded.generations[0]) ? 1 : 0;
  loaded.super = found[loaded.newest];
  loaded.equal = valid0 && valid1 && loaded.generations[0] == loaded.generations[1];
  return loaded;
}

namespace {

Status write_slot(Disk& disk, FileId file, AlignedBuffer& buffer, std::size_t slot) {
  TRY(disk.write(file, slot * super_slot_bytes, buffer.span()));
  return disk.sync(file);
}

}  // namespace

// What can be read may be what a failed flush has dropped, and no later flush hardens it; so which
// slot is surely on the media? A change writes slot 1 behind the flush of slot 0 only.
Status equalize_super(Disk& disk, FileId file, LoadedSuper& loaded, bool clean) {
  if (loaded.equal && (clean || MUTANT(M97))) return ok();
  AlignedBuffer buffer(super_slot_bytes);
  const bool both_valid =
      loaded.slots[0] == SlotState::valid && loaded.slots[1] == SlotState::valid;
  // Slot 1 alone is the older state of a change that never got further: slot 0 begins one anew.
  if (loaded.newest == 1) ++loaded.super.generation;
  encode_super(loaded.super, buffer.span());
  // Equal, or slot 1 bad: slot 0 is sure. Else slot 0 may be nothing but read: it comes first.
  bool sure = loaded.newest == 0 && (loaded.equal || !both_valid);
  if (MUTANT(M97)) sure = loaded.newest == 0;
  if (!sure) TRY(write_slot(disk, file, buffer, MUTANT(M64) ? loaded.newest : 0));
  if (!MUTANT(M64)) TRY(write_slot(disk, file, buffer, 1));
  loaded.equal = true;
  return ok();
}

Status store_super(Disk& disk, FileId file, DiskSuper& super, std::size_t first) {
  CHECK(first < 2);
  ++super.generation;
  AlignedBuffer buffer(super_slot_bytes);
  encode_super(super, buffer.span());
  TRY(write_slot(disk, file, buffer, first));
  if (MUTANT(M59)) return ok();
  return write_slot(disk, file, buffer, 1 - first);
}

TermTable terms_of(const DiskSuper& super) {
  TermTable terms;
  for (std::uint32_t i = 0; i < super.term_count; ++i) {
    const DiskTerm& term = super.terms[i];
    terms.push_back(TermEntry{Term(term.term), Lsn(term.first_lsn), term.chain_before});
  }
  return terms;
}

void set_terms(DiskSuper& super, const TermTable& terms, Lsn applied) {
  std::size_t folded = 0;
  while (folded < terms.size() && terms[folded].first_lsn <= applied) ++folded;
  const std::size_t skip =
      folded > limits::folded_terms_max ? folded - limits::folded_terms_max : 0;
  super.term_count = static_cast<std::uint32_t>(folded - skip);
  std::memset(super.terms, 0, sizeof super.terms);
  for (std::size_t i = skip; i < folded; ++i) {
    super.terms[i - skip] =
        DiskTerm{terms[i].term.value(), terms[i].first_lsn.value(), terms[i].chain_before};
  }
}

// A row ends at its first lsn 0: no record has it.
RequestTables requests_of(const DiskSuper& super) {
  RequestTables tables;
  for (std::uint32_t i = 0; i < super.attachment_count; ++i) {
    const DiskAttachment& stored = super.attachments[i];
    RequestTable& row = tables.row(AttachmentId(stored.attachment));
    row.low_mark = RequestNumber(stored.low_mark);
    for (const DiskRequest& request : stored.requests) {
      if (request.lsn == 0) break;
      row.insert(RequestNumber(request.request), Lsn(request.lsn));
    }
  }
  return tables;
}

void set_requests(DiskSuper& super, const RequestTables& tables) {
  std::memset(super.attachments, 0, sizeof super.attachments);
  super.attachment_count = 0;
  for (const RequestTable& row : tables) {
    DiskAttachment& stored = super.attachments[super.attachment_count++];
    stored.attachment = row.attachment.value();
    stored.low_mark = row.low_mark.value();
    std::size_t at = 0;
    for (const RequestEntry& entry : row.entries) {
      stored.requests[at++] = DiskRequest{entry.request.value(), entry.lsn.value()};
    }
  }
}

// Opening made both slots equal, so each change may begin with slot 0: slot 1 stays valid
// meanwhile.
SuperWriter::SuperWriter(Disk& disk, Done done, void* owner)
    : disk_(disk), done_(done), owner_(owner), buffer_(super_slot_bytes) {
  op_.done = &SuperWriter::on_step;
  op_.owner = this;
}

void SuperWriter::start(const DiskSuper& super) {
  CHECK(!busy());
  encode_super(super, buffer_.span());
  next();
}

void SuperWriter::next() {
  ++step_;
  op_.file = file_;
  if (step_ % 2 == 1) {
    op_.kind = Op::Kind::write;
    op_.offset = step_ == 1 ? 0 : super_slot_bytes;
    iov_ = iovec{buffer_.data(), buffer_.size()};
    op_.iov = &iov_;
    op_.iov_count = 1;
  } else {
    op_.kind = Op::Kind::sync;
    op_.iov = nullptr;
    op_.iov_count = 0;
  }
  disk_.submit(op_);
}

void SuperWriter::on_step(Op& op) {
  auto* self = static_cast<SuperWriter*>(op.owner);
  const int error = op.result < 0 ? static_cast<int>(-op.result) : 0;
  const int last = MUTANT(M59) ? 2 : 4;
  if (error == 0 && self->step_ < last) {
    self->next();
    return;
  }
  self->step_ = 0;
  self->done_(self->owner_, error);
}

}  // namespace seawall::wal
