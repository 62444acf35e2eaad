#include "node/runtime/wire_parts.h"

namespace seawall::runtime::parts {

void put_terms(ByteWriter& writer, const TermTable& terms) {
  writer.u16(static_cast<std::uint16_t>(terms.size()));
  for (const TermEntry& entry : terms) {
    writer.id(entry.term);
    writer.id(entry.first_lsn);
    writer.u64(entry.chain_before);
  }
}

// Terms rise strictly, first lsns never fall: anything else is no term table.
void get_terms(ByteReader& reader, TermTable& terms) {
  terms.clear();
  const std::size_t count = reader.u16();
  reader.require(count <= term_table_max);
  for (std::size_t i = 0; i < count && !reader.failed(); ++i) {
    TermEntry entry;
    entry.term = reader.id<Term>();
    entry.first_lsn = reader.id<Lsn>();
    entry.chain_before = reader.u64();
    if (!terms.empty()) {
      reader.require(terms.back().term < entry.term);
      reader.require(terms.back().first_lsn <= entry.first_lsn);
    }
    terms.push_back(entry);
  }
}

void put_requests(ByteWriter& writer, const RequestTables& tables) {
  writer.u8(static_cast<std::uint8_t>(tables.size()));
  for (const RequestTable& row : tables) {
    writer.id(row.attachment);
    writer.id(row.low_mark);
    writer.u16(static_cast<std::uint16_t>(row.entries.size()));
    for (const RequestEntry& entry : row.entries) {
      writer.id(entry.request);
      writer.id(entry.lsn);
    }
  }
}

// Rebuilt by the rules of the table: what they drop was no table.
void get_requests(ByteReader& reader, RequestTables& tables) {
  tables.clear();
  const std::size_t rows = reader.u8();
  reader.require(rows <= limits::attachments_max);
  AttachmentId before;
  for (std::size_t i = 0; i < rows && !reader.failed(); ++i) {
    const AttachmentId attachment = reader.id<AttachmentId>();
    reader.require(attachment > before);
    if (reader.failed()) return;
    before = attachment;
    RequestTable& row = tables.row(attachment);
    row.low_mark = reader.id<RequestNumber>();
    const std::size_t count = reader.u16();
    reader.require(count <= limits::request_table_max);
    for (std::size_t j = 0; j < count && !reader.failed(); ++j) {
      RequestEntry entry;
      entry.request = reader.id<RequestNumber>();
      entry.lsn = reader.id<Lsn>();
      row.entries.push_back(entry);
    }
  }
  reader.require(well_formed(tables));
}

}  // namespace seawall::runtime::parts
