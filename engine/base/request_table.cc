#include "engine/base/request_table.h"

#include "engine/base/chain.h"

namespace seawall {

void RequestTable::raise_low_mark(RequestNumber mark) {
  if (mark <= low_mark) return;
  low_mark = mark;
  entries.erase_if([&](const RequestEntry& entry) { return entry.request < mark; });
}

void RequestTable::insert(RequestNumber request, Lsn lsn) {
  if (request < low_mark || find(request)) return;
  // A primary admits nothing beyond the window; if one did, a refusal is better than a repetition.
  if (entries.full()) raise_low_mark(RequestNumber{entries.front().request.value() + 1});
  std::size_t place = entries.size();
  while (place > 0 && entries[place - 1].request > request) --place;
  entries.insert_at(place, {request, lsn});
}

std::optional<Lsn> RequestTable::find(RequestNumber request) const {
  for (const RequestEntry& entry : entries) {
    if (entry.request == request) return entry.lsn;
  }
  return std::nullopt;
}

void RequestTables::fold(const RecordHeader& header) {
  if (header.attachment == AttachmentId{0}) return;
  keep(header.attachment, AttachmentId{header.argument});
  RequestTable& table = row(header.attachment);
  table.raise_low_mark(header.low_mark);
  table.insert(header.request, header.lsn);
}

void RequestTables::cut(Lsn upto) {
  for (RequestTable& row : rows_) {
    row.entries.erase_if([&](const RequestEntry& entry) { return entry.lsn > upto; });
  }
}

void RequestTables::keep(AttachmentId a, AttachmentId b) {
  bool all = true;
  for (const RequestTable& row : rows_) {
    all = all && (row.attachment == a || row.attachment == b);
  }
  if (all) return;
  rows_.erase_if(
      [&](const RequestTable& row) { return row.attachment != a && row.attachment != b; });
}

RequestTable& RequestTables::row(AttachmentId id) {
  if (RequestTable* known = find(id)) return *known;
  if (rows_.full()) rows_.erase_at(0);
  std::size_t place = rows_.size();
  while (place > 0 && rows_[place - 1].attachment > id) --place;
  return rows_.insert_at(place, RequestTable{id, RequestNumber{}, {}});
}

RequestTable* RequestTables::find(AttachmentId id) {
  for (RequestTable& row : rows_) {
    if (row.attachment == id) return &row;
  }
  return nullptr;
}

const RequestTable* RequestTables::find(AttachmentId id) const {
  for (const RequestTable& row : rows_) {
    if (row.attachment == id) return &row;
  }
  return nullptr;
}

std::uint64_t RequestTables::digest() const {
  std::uint64_t hash = mix64(0x5ea3a117ab1e0001ull, rows_.size());
  for (const RequestTable& row : rows_) {
    hash = mix64(mix64(hash, row.attachment.value()), row.low_mark.value());
    hash = mix64(hash, row.entries.size());
    for (const RequestEntry& entry : row.entries) {
      hash = mix64(mix64(hash, entry.request.value()), entry.lsn.value());
    }
  }
  return hash;
}

bool well_formed(const RequestTables& tables) {
  AttachmentId before;
  for (const RequestTable& row : tables) {
    if (row.attachment <= before) return false;
    before = row.attachment;
    const RequestEntry* last = nullptr;
    for (const RequestEntry& entry : row.entries) {
      if (entry.request < row.low_mark || entry.lsn == Lsn{0}) return false;
      if (last != nullptr && entry.request <= last->request) return false;
      last = &entry;
    }
  }
  return true;
}

}  // namespace seawall
