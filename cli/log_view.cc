#include "cli/log_view.h"

#include <fmt/format.h>

#include "cli/size.h"
#include "cli/table.h"

namespace seawall::cli {
namespace {

const char* slot_name(wal::SlotState state) {
  switch (state) {
    case wal::SlotState::valid: return "valid";
    case wal::SlotState::unreadable: return "unreadable";
    case wal::SlotState::bad: return "bad";
    case wal::SlotState::unknown_version: return "unknown version";
  }
  return "unknown";
}

const char* damage_name(Damage damage) {
  switch (damage) {
    case Damage::none: return "none";
    case Damage::unknown_records: return "unknown records";
    case Damage::regressed: return "regressed";
    case Damage::base_untrusted: return "base untrusted";
  }
  return "unknown";
}

std::string hex(std::uint64_t value) { return fmt::format("{:016x}", value); }

boost::json::object super_json(const ReplicaLog& log) {
  const wal::DiskSuper& s = log.super.super;
  boost::json::array terms;
  for (std::uint32_t i = 0; i < s.term_count; ++i) {
    terms.push_back({{"term", s.terms[i].term},
                     {"first_lsn", s.terms[i].first_lsn},
                     {"chain_before", hex(s.terms[i].chain_before)}});
  }
  boost::json::value marker = nullptr;
  if (wal::has_flag(s, wal::super_flag_marker)) {
    marker = {{"epoch", s.marker_epoch}, {"counter", s.marker_counter}, {"cut", s.marker_cut}};
  }
  boost::json::value floor = nullptr;
  if (wal::has_flag(s, wal::super_flag_floor)) {
    floor = {{"term", s.floor_term}, {"lsn", s.floor_lsn}};
  }
  return {{"slots", {slot_name(log.super.slots[0]), slot_name(log.super.slots[1])}},
          {"generation", s.generation},
          {"incarnation", hex(s.incarnation_hi) + hex(s.incarnation_lo)},
          {"replica", s.replica},
          {"boot", hex(s.boot_hi) + hex(s.boot_lo)},
          {"promised", s.promised},
          {"seen_epoch", s.seen_epoch},
          {"seen_revision", s.seen_revision},
          {"clean", wal::has_flag(s, wal::super_flag_clean)},
          {"intact", wal::has_flag(s, wal::super_flag_intact)},
          {"marker", std::move(marker)},
          {"floor", std::move(floor)},
          {"log_start_lsn", s.log_start_lsn},
          {"applied", s.applied_lsn},
          {"applied_term", s.applied_term},
          {"durable", s.durable_lsn},
          {"size_bytes", s.size_blocks * wal::block_bytes},
          {"log_bytes", s.log_bytes},
          {"extents_mapped", s.extents_mapped},
          {"terms", std::move(terms)}};
}

}  // namespace

boost::json::object record_json(const LogRecord& r) {
  boost::json::array crcs;
  for (const std::uint32_t crc : r.crcs)
    crcs.push_back(boost::json::string(fmt::format("{:08x}", crc)));
  return {{"lsn", r.header.lsn.value()},
          {"term", r.header.term.value()},
          {"kind", kind_name(r.header.kind)},
          {"flags", r.header.flags},
          {"attachment", r.header.attachment.value()},
          {"request", r.header.request.value()},
          {"low_mark", r.header.low_mark.value()},
          {"lba", r.header.lba.value()},
          {"blocks", r.header.blocks.value()},
          {"chain", hex(r.header.chain)},
          {"segment", r.segment},
          {"slot", r.slot},
          {"offset", r.offset},
          {"payload_offset", r.payload_offset == 0 ? boost::json::value(nullptr)
                                                   : boost::json::value(r.payload_offset)},
          {"crcs", std::move(crcs)}};
}

boost::json::object log_json(const ReplicaLog& log) {
  boost::json::array segments;
  for (const LogSegment& s : log.segments) {
    segments.push_back({{"slot", s.slot},
                        {"number", s.header.id.number},
                        {"version", s.header.id.version},
                        {"first_lsn", s.header.first_lsn.value()},
                        {"batches", s.batches},
                        {"records", s.records}});
  }
  boost::json::array findings;
  for (const wal::Finding& f : log.recovered.findings) {
    findings.push_back({{"case", wal::case_name(f.letter)},
                        {"slot", f.slot},
                        {"block", f.block},
                        {"lsn", f.lsn.value()},
                        {"reason", f.reason}});
  }
  return {{"sound", is_sound(log)},
          {"super", super_json(log)},
          {"power_loss", log.power_loss},
          {"segments", std::move(segments)},
          {"end", log.recovered.end.value()},
          {"term", log.recovered.term.value()},
          {"chain", hex(log.recovered.chain)},
          {"durable", log.recovered.durable.value()},
          {"written", log.recovered.written.value()},
          {"damage", damage_name(log.recovered.damage)},
          {"findings", std::move(findings)}};
}

std::string log_text(const ReplicaLog& log, bool colours) {
  const wal::DiskSuper& s = log.super.super;
  const bool sound = is_sound(log);
  std::string out = fmt::format(
      "{}\n  super     generation {}, slots {} and {}; replica {}, promised {}, seen ({}, "
      "{}){}{}\n",
      paint(sound ? "sound" : "damaged", sound ? Colour::green : Colour::red, colours),
      s.generation, slot_name(log.super.slots[0]), slot_name(log.super.slots[1]), s.replica,
      s.promised, s.seen_epoch, s.seen_revision,
      wal::has_flag(s, wal::super_flag_marker) ? ", in a rebuild" : "",
      wal::has_flag(s, wal::super_flag_floor)
          ? fmt::format(", floor ({}, {})", s.floor_term, s.floor_lsn)
          : "");
  out += fmt::format("  stop      {}, {}{}\n",
                     wal::has_flag(s, wal::super_flag_clean) ? "clean" : "not clean",
                     wal::has_flag(s, wal::super_flag_intact) ? "intact" : "not intact",
                     log.power_loss ? ", another boot since" : "");
  out += fmt::format("  volume    {}, log {}, {} extents mapped\n",
                     human_size(s.size_blocks * wal::block_bytes), human_size(s.log_bytes),
                     s.extents_mapped);
  out += fmt::format(
      "  log       from lsn {} to {} of term {}, chain {:016x}; applied {}, durable {}\n",
      s.log_start_lsn, log.recovered.end.value(), log.recovered.term.value(), log.recovered.chain,
      s.applied_lsn, log.recovered.durable.value());
  Table table({"  SEGMENT", "FILE", "VERSION", "FIRST LSN", "BATCHES", "RECORDS"}, colours);
  for (const LogSegment& segment : log.segments) {
    table.add({fmt::format("  {}", segment.header.id.number), fmt::format("log/{}", segment.slot),
               fmt::format("{}", segment.header.id.version),
               fmt::format("{}", segment.header.first_lsn.value()),
               fmt::format("{}", segment.batches), fmt::format("{}", segment.records)});
  }
  out += table.text();
  for (const wal::Finding& finding : log.recovered.findings) {
    out += fmt::format("  case {}: log/{} block {}, lsn {}: {}\n", wal::case_name(finding.letter),
                       finding.slot, finding.block, finding.lsn.value(), finding.reason);
  }
  return out;
}

}  // namespace seawall::cli
