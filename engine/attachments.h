// Attachments of one replica: request tables, and the connections of a primary.
//
// A request that the table holds is answered from the log, not appended again; one below its low
// mark is refused.
// Life cycle: the tables come with Opened (super block and log) and with a rebuild (its base), are
// folded from every appended record and cut by a rewind. Connections are a primary's and end with
// it. Thread: the Core's. Bounds: limits::attachments_max of either.
#pragma once

#include <optional>

#include "engine/base/bounded_vector.h"
#include "engine/base/ids.h"
#include "engine/base/limits.h"
#include "engine/base/record.h"
#include "engine/base/request_table.h"
#include "engine/control.h"

namespace seawall {

struct AttachmentConnection {
  AttachmentId id;
  ConnectionNumber connection;  // the greatest that was opened
  std::optional<LinkId> link;   // while it is open
};

class Attachments {
 public:
  using Granted = BoundedVector<AttachmentGrant, limits::attachments_max>;

  [[nodiscard]] const RequestTables& tables() const { return tables_; }
  [[nodiscard]] RequestTables& tables() { return tables_; }
  void adopt(const RequestTables& tables) { tables_ = tables; }
  void fold(const RecordHeader& header) { tables_.fold(header); }
  // Records after `upto` are gone from the log.
  void cut(Lsn upto) { tables_.cut(upto); }

  // --- a primary's ---
  // Only these are attached: rows and connections of others go.
  void keep(const Granted& granted);
  // The other attachment that is granted besides `id`; 0: none.
  [[nodiscard]] AttachmentId other_than(AttachmentId id) const;
  // Opens a connection of a granted attachment; its table is there from now on.
  void open(AttachmentId id, ConnectionNumber connection, LinkId link);
  void close(LinkId link);
  void forget_connections() { connections_.clear(); }
  [[nodiscard]] const AttachmentConnection* connection(AttachmentId id) const;
  [[nodiscard]] const AttachmentConnection* connection(LinkId link) const;

 private:
  friend struct DigestAccess;  // digest.cc: names every field
  RequestTables tables_;
  Granted granted_;
  BoundedVector<AttachmentConnection, limits::attachments_max> connections_;
};

}  // namespace seawall
