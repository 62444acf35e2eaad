// The request tables: at most one effect for every request of an attachment.
//
// Every replica folds from the records it appends, per attachment: the low mark, and which record
// each newer request became. A request that the table holds is answered from the log, not appended
// again.
// Life cycle: empty at opening (records from before the opening are not in it), cut by a rewind,
// emptied by a rebuild. Thread: the Core's. Invariants: requests ascend and are not below the low
// mark.
#pragma once

#include <cstdint>
#include <optional>

#include "engine/base/bounded_vector.h"
#include "engine/base/ids.h"
#include "engine/base/limits.h"
#include "engine/base/record.h"

namespace seawall {

struct AttachmentRow {
  struct Entry {
    RequestNumber request;
    Lsn lsn;
  };

  AttachmentId id;
  RequestNumber low_mark;
  BoundedVector<Entry, limits::request_table_max> entries;
  // The connection that is open here; only a primary has one.
  ConnectionNumber connection;      // the greatest that was opened
  std::optional<LinkId> link;       // while it is open

  void raise_low_mark(RequestNumber mark);
  [[nodiscard]] std::optional<Lsn> find(RequestNumber request) const;
};

class Attachments {
 public:
  static constexpr std::size_t rows_max = limits::attachments_max + 2;

  void fold(const RecordHeader& header);
  // Records after `upto` are gone from the log.
  void cut(Lsn upto);
  void clear() { rows_.clear(); }
  void forget_connections();

  AttachmentRow* find(AttachmentId id);
  [[nodiscard]] const AttachmentRow* find(AttachmentId id) const;
  AttachmentRow* find_by_link(LinkId link);
  // The row of `id`, a new one where there is none: the smallest generation makes place.
  AttachmentRow& row(AttachmentId id);
  [[nodiscard]] auto begin() { return rows_.begin(); }
  [[nodiscard]] auto end() { return rows_.end(); }
  [[nodiscard]] auto begin() const { return rows_.begin(); }
  [[nodiscard]] auto end() const { return rows_.end(); }

 private:
  BoundedVector<AttachmentRow, rows_max> rows_;  // ascending id
};

}  // namespace seawall
