// Recovery: reads the whole retained log, verifies it, and decides what each bad place means.
//
// Facts about one place go in, a lettered case comes out (classify), and one constexpr table says
// what is done (decision_of). Nothing is written here: the caller acts only after all is decided.
// Blocking; used by opening, rewind and the inspector. Ownership: views die with the call.
//
//   A   the chain ends at a batch and nothing continues it          end of log
//   B   bad or unreadable beyond `durable`, after a power loss      end of log, whatever follows
//   B'  readable, does not verify, beyond `durable` and `written`   a write in flight: end of log
//   C   any other bad or unreadable place                           unknown: not cut, not served
//   E   the log ends below what it proved to hold                   regressed: floor, rebuild
//   F   a segment number is missing in the middle                   as C, or B beyond the proven
//   G   foreign incarnation, unknown version                        refused, nothing touched
//   S   below the log start, stale, or bad and continuing nothing   spare
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "engine/base/facts.h"
#include "engine/base/result.h"
#include "wal/aligned.h"
#include "wal/disk.h"
#include "wal/layout.h"
#include "wal/segment.h"
#include "wal/super.h"

namespace seawall::wal {

enum class Case : std::uint8_t { A, B, B2, C, E, F, G, S };  // B2 is B'
inline constexpr std::size_t case_count = 8;
const char* case_name(Case letter);

enum class Decision : std::uint8_t { end_of_log, unknown, regressed, refuse, spare };
inline constexpr std::array<Decision, case_count> decision_table = {
    Decision::end_of_log,  // A
    Decision::end_of_log,  // B
    Decision::end_of_log,  // B'
    Decision::unknown,     // C
    Decision::regressed,   // E
    Decision::unknown,     // F
    Decision::refuse,      // G
    Decision::spare,       // S
};
constexpr Decision decision_of(Case letter) {
  return decision_table[static_cast<std::size_t>(letter)];
}

// What is known about the place that should hold record `lsn`.
struct PlaceFacts {
  Lsn lsn;
  Lsn durable, written;  // D and Wr: what super block and retained headers prove
  Lsn seen;              // greatest record of any batch that verifies beyond the place
  bool power_loss = false;
  bool readable = true;
  bool header_verifies = false;  // the batch's header does, its payload does not
  bool segment_missing = false;  // a later segment number exists, this one does not
};
Case classify(const PlaceFacts& place);

struct Finding {  // one place that did not simply verify
  Case letter = Case::A;
  std::uint32_t slot = 0;
  std::uint32_t block = 0;
  Lsn lsn;
  const char* reason = "";
};

// Told of what the retained lineage holds, in the order of the log.
class LogVisitor {
 public:
  virtual ~LogVisitor() = default;
  virtual void on_start() = 0;  // again, where a walk begins behind damage: all before is void
  virtual void on_segment(std::uint32_t slot, const SegmentHeader& header) = 0;
  virtual void on_batch(std::uint32_t slot, std::uint32_t block, const BatchView& batch) = 0;
};

inline constexpr std::size_t unknown_listed_max = 1024;

struct RecoveryInput {
  Disk& disk;
  std::span<const FileId> files;  // by slot
  Layout layout;
  Incarnation incarnation;
  const DiskSuper& super;
  bool power_loss = false;
  FileId base = no_file;  // payload of large writes is there
};

struct LogStart {
  Lsn lsn;
  std::uint64_t chain = 0;  // before it
  SegmentId segment;
};

struct Recovered {
  Lsn end;  // greatest verified record
  Term term;
  std::uint64_t chain = 0;
  Lsn durable, written;  // D and Wr
  Term evidence_term;    // greatest term seen anywhere
  Damage damage = Damage::none;
  std::optional<Floor> floor;  // to be stored before anybody acts
  std::vector<RecordHeader> unknown;  // beyond `applied`, oldest first, at most unknown_listed_max
  std::vector<std::pair<std::uint32_t, SegmentHeader>> rebuilt;  // slots whose header block is bad
  bool broken = false;                // the chain is damaged: no append before rewind or rebuild
  bool restart = false;               // nothing of the log is left: it begins anew behind `applied`
  bool base_ahead = false;            // a checkpoint that a crash ended may have folded more
  std::optional<std::uint32_t> tail;  // slot of the segment that holds `end`
  std::uint32_t tail_block = 0;       // first block behind it
  bool copy_tail = false;             // something follows in the tail: a fresh version is due
  std::vector<std::uint32_t> clear;   // slots whose headers must go, highest number first
  std::uint64_t last_number = 0, last_version = 0;  // greatest seen anywhere
  // A header is bad among records that the base holds all of: the log begins behind it.
  std::optional<LogStart> starts_behind;
  std::vector<Finding> findings;
};

Result<Recovered> recover_log(const RecoveryInput& input, LogVisitor& visitor);

}  // namespace seawall::wal
