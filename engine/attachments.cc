#include "engine/attachments.h"

namespace seawall {

void AttachmentRow::raise_low_mark(RequestNumber mark) {
  if (mark <= low_mark) return;
  low_mark = mark;
  entries.erase_if([&](const Entry& entry) { return entry.request < mark; });
}

std::optional<Lsn> AttachmentRow::find(RequestNumber request) const {
  for (const Entry& entry : entries) {
    if (entry.request == request) return entry.lsn;
  }
  return std::nullopt;
}

void Attachments::fold(const RecordHeader& header) {
  if (header.attachment == AttachmentId{0}) return;
  AttachmentRow& row = this->row(header.attachment);
  row.raise_low_mark(header.low_mark);
  if (header.request < row.low_mark || row.find(header.request)) return;
  if (row.entries.full()) row.entries.erase_at(0);
  std::size_t place = row.entries.size();
  while (place > 0 && row.entries[place - 1].request > header.request) --place;
  row.entries.insert_at(place, {header.request, header.lsn});
}

void Attachments::cut(Lsn upto) {
  for (AttachmentRow& row : rows_) {
    row.entries.erase_if([&](const AttachmentRow::Entry& entry) { return entry.lsn > upto; });
  }
}

void Attachments::forget_connections() {
  for (AttachmentRow& row : rows_) {
    row.connection = ConnectionNumber{};
    row.link.reset();
  }
}

AttachmentRow* Attachments::find(AttachmentId id) {
  for (AttachmentRow& row : rows_) {
    if (row.id == id) return &row;
  }
  return nullptr;
}

const AttachmentRow* Attachments::find(AttachmentId id) const {
  for (const AttachmentRow& row : rows_) {
    if (row.id == id) return &row;
  }
  return nullptr;
}

AttachmentRow* Attachments::find_by_link(LinkId link) {
  for (AttachmentRow& row : rows_) {
    if (row.link == link) return &row;
  }
  return nullptr;
}

AttachmentRow& Attachments::row(AttachmentId id) {
  if (AttachmentRow* known = find(id)) return *known;
  if (rows_.full()) rows_.erase_at(0);
  std::size_t place = rows_.size();
  while (place > 0 && rows_[place - 1].id > id) --place;
  AttachmentRow row;
  row.id = id;
  return rows_.insert_at(place, row);
}

}  // namespace seawall
