// Requests: what clients asked of a serving primary and have not been told yet.
//
// Purpose: turns requests into records, reads and flushes, and lets every answer leave through one
// gate, which asks the lease when the answer is ready. Completions leave in lsn order. A read waits
// for the records it overlaps; its data waits for records that were appended while the disk was
// read.
// Life cycle: filled while the primary serves; fail_all() when it stops. Thread: the Core's.
// Ownership: holds the loan of a slot from ClientAsked or ReadDone to its DropSlot.
// Invariants: open requests <= open_max; records ascend in lsn.
#pragma once

#include <cstdint>
#include <optional>

#include "engine/attachments.h"
#include "engine/context.h"

namespace seawall {

class Primary;

class Requests {
 public:
  static constexpr std::size_t open_max = limits::attachments_max * limits::queue_depth_max;
  static constexpr std::size_t reads_out_max = 2 * open_max;
  static_assert(2 * open_max + 128 <= Context::commands_reserved);

  Requests(Context& context, Attachments& attachments, Primary& primary)
      : context_(context), attachments_(attachments), primary_(primary) {}

  void on_asked(LinkId link, const ClientRequest& request);
  void on_read_done(const event::ReadDone& done);
  void on_unreadable(std::uint64_t token);       // no replica has these blocks
  bool read_again(std::uint64_t token);          // false: nobody waits for it any more
  // Lets go what a moved watermark, a lease or room in the log allows.
  void release();
  // A newer connection, or none: what the older one asked gets no answer; records keep their place.
  void end_connection(AttachmentId attachment);
  // A revoked attachment: everything open is answered so.
  void revoke(AttachmentId attachment);
  // The primary is no longer one: the front end resends to its successor.
  void fail_all(ClientStatus status);
  // An answer that shows nothing of the volume, without a lease; ends the loan of its slot.
  void refuse(LinkId link, const ClientRequest& request, ClientStatus status);

  [[nodiscard]] std::size_t open() const {
    return records_.size() + reads_.size() + flushes_.size() + waiting_.size() + held_.size();
  }
  [[nodiscard]] bool waits_for_lease() const { return !held_.empty(); }
  [[nodiscard]] std::size_t records() const { return records_.size(); }
  // The newest record that completed; a flush has to make it stable.
  [[nodiscard]] Lsn completed() const { return completed_; }
  void start_epoch(Lsn term_start) { completed_ = term_start; }

 private:
  friend struct DigestAccess;  // digest.cc: names every field
  struct Asker {
    LinkId link;
    AttachmentId attachment;
    ConnectionNumber connection;
    RequestNumber request;
    bool listens = true;  // false: its connection is over
  };
  struct OpenRecord {
    Lsn lsn;
    Lba lba;
    BlockCount blocks;
    bool fua = false;
    Asker asker;
  };
  struct OpenFlush {
    Lsn target;
    Lsn seen;
    Asker asker;
  };
  struct OpenRead {
    std::uint64_t token = 0;
    Lba lba;
    BlockCount blocks;
    Lsn wait;             // not before this is visible
    bool issued = false;  // ReadData is out
    bool ready = false;   // the data is here, `slot` is ours
    Slot slot = no_slot;
    Asker asker;
  };
  struct Waiting {  // a write without an lsn: the log has no room, or its turn has not come
    LinkId link;
    ClientRequest request;
    Instant since;
  };
  struct Held {  // an answer without a lease
    LinkId link;
    ClientDone done;
  };

  void answer(const Asker& asker, ClientStatus status, Position seen, Slot slot);
  void leave(LinkId link, const ClientDone& done);
  void answer_known(LinkId link, const ClientRequest& request, Lsn lsn);
  void admit_read(LinkId link, const ClientRequest& request);
  void admit_flush(LinkId link, const ClientRequest& request);
  void admit_record(LinkId link, const ClientRequest& request);
  void append(LinkId link, const ClientRequest& request);
  void issue(OpenRead& read);
  void finish_read(std::size_t index);
  void fail_read(std::size_t index);
  void release_records();
  void release_flushes();
  void release_reads();
  [[nodiscard]] Lsn overlapped(Lba lba, BlockCount blocks) const;
  [[nodiscard]] bool log_has_room() const;
  [[nodiscard]] bool may_append(Instant since) const;
  [[nodiscard]] bool given_up(const ClientRequest& request) const;
  template <class Visit>
  void forget(std::optional<AttachmentId> attachment, Visit visit);

  Context& context_;
  Attachments& attachments_;
  Primary& primary_;

  RingBuffer<OpenRecord, open_max> records_;
  BoundedVector<OpenFlush, open_max> flushes_;
  BoundedVector<OpenRead, open_max> reads_;
  RingBuffer<Waiting, open_max> waiting_;
  RingBuffer<Held, open_max> held_;
  std::uint64_t next_read_ = 1;  // rises for ever: a late ReadDone finds nobody
  std::size_t reads_out_ = 0;    // with the disk, those that nobody waits for any more included
  int appended_ = 0;             // in this step
  Lsn completed_;
};

}  // namespace seawall
