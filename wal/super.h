// The super block: one small truth in two slots.
//
// Both slots are written at each change, the invalid or older one first, never the only valid one,
// with a flush after each; only then anyone acts. So a crash leaves the old or the new state, and
// one slot may rot without a loss. Generations rise by one with every change. Life cycle:
// SuperWriter lives as long as its store; at most one change is under way. Thread: the owner's.
// Errors: a failed write or flush is reported once and is final for the store.
#pragma once

#include <cstdint>

#include "engine/base/facts.h"
#include "engine/base/request_table.h"
#include "engine/base/result.h"
#include "wal/aligned.h"
#include "wal/disk.h"
#include "wal/format.h"

namespace seawall::wal {

inline bool has_flag(const DiskSuper& super, std::uint32_t flag) {
  return (super.flags & flag) != 0;
}
inline void set_flag(DiskSuper& super, std::uint32_t flag, bool on) {
  super.flags = on ? super.flags | flag : super.flags & ~flag;
}

enum class SlotState : std::uint8_t { valid, unreadable, bad, unknown_version };

struct LoadedSuper {
  DiskSuper super{};
  SlotState slots[2] = {SlotState::bad, SlotState::bad};
  std::uint64_t generations[2] = {0, 0};
  bool equal = false;      // both slots hold this state
  std::size_t newest = 0;  // the slot that `super` came from
};

// Encodes into one slot's bytes; sets the CRC.
void encode_super(const DiskSuper& super, std::span<std::byte> slot);
SlotState decode_super(std::span<const std::byte> slot, DiskSuper& super);

Result<LoadedSuper> load_super(Disk& disk, FileId file);
// Writes the other slot alike, where it is not; after an unclean stop also what may only be read.
Status equalize_super(Disk& disk, FileId file, LoadedSuper& loaded, bool clean);
// Writes `super` with the next generation to both slots. `first` is the slot that goes first.
Status store_super(Disk& disk, FileId file, DiskSuper& super, std::size_t first);

TermTable terms_of(const DiskSuper& super);
RequestTables requests_of(const DiskSuper& super);
void set_requests(DiskSuper& super, const RequestTables& tables);
// Stores the newest 64 entries that begin at or below `applied`.
void set_terms(DiskSuper& super, const TermTable& terms, Lsn applied);

class SuperWriter {
 public:
  using Done = void (*)(void* owner, int error);  // error: 0 or an errno

  SuperWriter(Disk& disk, Done done, void* owner);
  void attach(FileId file) { file_ = file; }
  [[nodiscard]] bool busy() const { return step_ != 0; }
  // Operations of the change that have completed.
  [[nodiscard]] int completed() const { return step_ > 1 ? step_ - 1 : 0; }
  // Starts a change; not while busy. `super.generation` must be the one after the stored one.
  void start(const DiskSuper& super);

 private:
  static void on_step(Op& op);
  void next();

  Disk& disk_;
  Done done_;
  void* owner_;
  FileId file_ = no_file;
  AlignedBuffer buffer_;
  iovec iov_{};
  Op op_;
  int step_ = 0;  // 0: idle; 1, 3: writing; 2, 4: flushing
};

}  // namespace seawall::wal
