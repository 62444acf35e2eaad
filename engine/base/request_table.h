// Request tables: which record each unfinished request of an attachment became.
//
// Purpose: at most one effect for every request. Every replica folds them from the records of its
// log, so they are a function of the log: the super block keeps them as of `applied`, a rebuild
// brings them as of its cut, and the tail of the log is folded on top. Bounds: every record names
// the other attachment of its moment (RecordHeader::argument; 0: none), which is all that a volume
// may have besides its own: rows of generations that are neither are over and go.
// Life cycle: a value. Thread: its owner's. Invariants: rows ascend in attachment; requests ascend,
// none is below its low mark, and all of them lie within request_table_max of each other.
#pragma once

#include <cstdint>
#include <optional>

#include "engine/base/bounded_vector.h"
#include "engine/base/ids.h"
#include "engine/base/limits.h"
#include "engine/base/record.h"

namespace seawall {

struct RequestEntry {
  RequestNumber request;
  Lsn lsn;
  friend constexpr bool operator==(const RequestEntry&, const RequestEntry&) = default;
};

struct RequestTable {
  AttachmentId attachment;
  RequestNumber low_mark;  // every request below it is finished
  BoundedVector<RequestEntry, limits::request_table_max> entries;

  void raise_low_mark(RequestNumber mark);
  // A request that is there, or below the low mark, changes nothing.
  void insert(RequestNumber request, Lsn lsn);
  [[nodiscard]] std::optional<Lsn> find(RequestNumber request) const;
  friend constexpr bool operator==(const RequestTable&, const RequestTable&) = default;
};

class RequestTables {
 public:
  // The next record of the log.
  void fold(const RecordHeader& header);
  // Records after `upto` are gone from the log, or not in the base that this is to describe.
  void cut(Lsn upto);
  // Rows of all others go.
  void keep(AttachmentId a, AttachmentId b);
  void clear() { rows_.clear(); }
  // The row of `id`, a new one where there is none; with all places taken the smallest goes.
  RequestTable& row(AttachmentId id);
  [[nodiscard]] RequestTable* find(AttachmentId id);
  [[nodiscard]] const RequestTable* find(AttachmentId id) const;
  [[nodiscard]] std::uint64_t digest() const;

  [[nodiscard]] std::size_t size() const { return rows_.size(); }
  [[nodiscard]] auto begin() const { return rows_.begin(); }
  [[nodiscard]] auto end() const { return rows_.end(); }
  friend constexpr bool operator==(const RequestTables&, const RequestTables&) = default;

 private:
  BoundedVector<RequestTable, limits::attachments_max> rows_;
};

// What was stored or received is one: ascending, bounded, at or above its low mark.
bool well_formed(const RequestTables& tables);

}  // namespace seawall
