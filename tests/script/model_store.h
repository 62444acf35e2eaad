// ModelStore: one replica's disk as the engine sees it through commands and events.
//
// Purpose: a log, a super block and a base, reduced to what the protocol can notice: what is
// written, what is durable, what a crash or a power loss leaves. Time does not exist here; the
// cluster decides when an operation is done. Thread: the test's. Ownership: owns its records.
// Units: blocks are 4 KiB and hold one stamp each. Errors: a call that breaks the contract of
// wal/store.h fails a CHECK.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/base_map.h"
#include "engine/base/chain.h"
#include "engine/command.h"

namespace seawall::script {

using Stamp = std::uint64_t;  // content of one block; 0: zeroes
using Stamps = std::vector<Stamp>;

struct StoredRecord {
  RecordHeader header;
  Stamps payload;
};

struct BaseExtent {
  Lba lba;
  Lsn last_lsn;
  std::uint64_t present = 0;
  Stamps blocks;  // the present ones, in order
};

inline constexpr Stamp lost_stamp = ~0ull;  // a block that cannot be read until it is rewritten
inline constexpr std::uint64_t extent_blocks = 16;

std::uint64_t digest_of(const Stamps& blocks);
std::uint64_t digest_of(std::uint64_t before, const BaseExtent& extent);
// The lines of those in [from, upto) that changed after `since`.
std::vector<MapLine> lines_of(const std::vector<BaseExtent>& extents, Lba from, Lba upto,
                              std::optional<Lsn> since);

class ModelStore {
 public:
  ModelStore(Incarnation incarnation, ReplicaId replica, BlockCount size)
      : incarnation_(incarnation), replica_(replica), size_(size) {}

  [[nodiscard]] ReplicaFacts facts(ProcessStart start) const;

  // --- the log ---
  void append(const RecordHeader& header, Stamps payload);
  Lsn write_next();                      // the oldest queued record is on the disk
  void flush_to(Lsn upto) { durable_ = std::max(durable_, std::min(upto, written_)); }
  [[nodiscard]] Lsn appended() const { return Lsn{written_.value() + queued_.size()}; }
  [[nodiscard]] const StoredRecord* record(Lsn lsn) const;  // retained and written
  [[nodiscard]] std::optional<RecordHeader> find(AttachmentId attachment,
                                                 RequestNumber request) const;
  // The request tables as an opening hands them over: of the super block, then the log folded on.
  [[nodiscard]] RequestTables requests() const;
  void rewind(Lsn to);
  [[nodiscard]] Stamps read(Lba lba, BlockCount blocks) const;

  // --- super block ---
  void update(const command::WriteSuper& update);

  // --- base ---
  void set_fold_limit(Lsn upto) { fold_limit_ = upto; }
  void pin(std::uint64_t pin, Lsn from) { pins_[pin] = from; }
  void unpin(std::uint64_t pin) { pins_.erase(pin); }
  // Folds up to `upto` (bounded by limit and durable), trims up to `trim` (bounded by pins).
  void checkpoint(Lsn upto, Lsn trim);
  std::vector<BaseExtent> extents() const;
  void prepare_rebuild(const command::PrepareRebuild& rebuild, const TermTable& terms,
                       const RequestTables& requests);
  void write_extent(const BaseExtent& extent);

  // --- faults ---
  void process_dies() {
    queued_.clear();
    pins_.clear();
    frozen = 0;
    if (marker_) damage = Damage::base_untrusted;
  }
  void lose_base() { base_.clear(); }  // its map says nothing any more
  void power_fails(std::optional<Lsn> keep);
  void rot(Lsn lsn) { rotten_.push_back(lsn); }  // its payload is bad from now on
  void rot_base(std::uint64_t lba) { bad_blocks_.push_back(lba); }
  [[nodiscard]] bool rotten(Lsn lsn) const {
    return std::find(rotten_.begin(), rotten_.end(), lsn) != rotten_.end();
  }
  // Beyond `applied`, oldest first: as an opening lists them.
  [[nodiscard]] std::vector<RecordHeader> unknown() const;
  void repair(Lsn lsn, const Stamps& payload);  // none: lost
  // Blocks that were bad in the base and whose content is this one.
  std::size_t repair_blocks(Lba lba, const Stamps& content);
  [[nodiscard]] bool readable(Lba lba, BlockCount blocks) const;
  void regress(Lsn to);  // what it had proven to hold beyond is gone

  BlockCount size() const { return size_; }
  Lsn written() const { return written_; }
  Lsn durable() const { return durable_; }
  Lsn applied() const { return applied_; }
  // A crash ended a checkpoint up to here: the base may hold any of it, and it is done again.
  void leave_checkpoint_open(Lsn cut) { open_cut_ = std::min(cut, durable_); }
  Lsn trimmed() const { return trimmed_; }
  Lsn fold_limit() const { return fold_limit_; }
  std::size_t pins() const { return pins_.size(); }
  std::string pin_text() const;
  std::uint64_t chain_at(Lsn lsn) const;
  std::optional<Term> term_of(Lsn lsn) const;
  Epoch promised() const { return promised_; }
  bool has_marker() const { return marker_.has_value(); }
  std::string history() const;  // runs of terms and the watermarks
  std::string content() const;  // non-zero blocks of log and base together
  std::string image() const;    // everything: two equal images are equal disks

  std::map<Stamp, std::string>* names = nullptr;  // of stamps, for output
  std::optional<Floor> floor;
  bool intact = true;
  Damage damage = Damage::none;
  BlockCount missing;  // its files hold so many less than the volume
  int frozen = 0;

 private:
  struct BaseBlock {
    Lsn lsn;
    Stamp stamp = 0;
  };
  void fold(const StoredRecord& record);
  std::vector<Lsn> rotten_;
  std::vector<std::uint64_t> bad_blocks_;

  Incarnation incarnation_;
  ReplicaId replica_;
  BlockCount size_;
  Epoch promised_, seen_epoch_;
  Revision seen_revision_;
  std::optional<RebuildMarker> marker_;
  std::uint64_t cleared_markers_ = 0;

  std::map<Lsn, StoredRecord> records_;  // since start_, trimmed ones included
  std::deque<StoredRecord> queued_;
  RequestTables applied_requests_;       // of the super block
  Lsn start_;  // the log begins after it: 0, or the cut of a rebuild
  TermTable start_terms_;
  std::uint64_t start_chain_ = chain_of_empty_log;
  Term start_term_;
  Lsn written_, durable_, applied_, trimmed_, fold_limit_;
  Lsn open_cut_;  // above applied_: of a checkpoint that a crash ended
  std::map<std::uint64_t, Lsn> pins_;
  std::map<std::uint64_t, BaseBlock> base_;
};

}  // namespace seawall::script
