#include "cli/replica_log.h"

#include <fmt/format.h>

#include <algorithm>

#include "cli/failure.h"
#include "cli/file_disk.h"
#include "cli/files.h"

namespace seawall::cli {
namespace {

[[noreturn]] void refuse(const std::string& path, const Error& error) {
  const ExitCode code = error.code == Errc::not_found ? ExitCode::not_found
                        : error.code == Errc::busy    ? ExitCode::conflict
                                                      : ExitCode::failed;
  throw Failure(code, fmt::format("{}: {} ({})", path, error.what, errc_name(error.code)));
}

// The boot id as the daemon stores it: the kernel's text without its dashes.
Id128<struct BootTag> boot_of_machine() {
  std::string text = read_file("/proc/sys/kernel/random/boot_id");
  text.erase(std::remove_if(text.begin(), text.end(), [](char c) { return c == '-' || c == '\n'; }),
             text.end());
  Id128<struct BootTag> boot;
  if (!Id128<struct BootTag>::parse(text.data(), text.size(), boot)) {
    throw Failure(ExitCode::failed, "this kernel has no boot id");
  }
  return boot;
}

class Collector final : public wal::LogVisitor {
 public:
  Collector(ReplicaLog& log, const std::function<void(const LogRecord&)>& on_record)
      : log_(log), on_record_(on_record) {}

  void on_start() override {}  // what was found before damage is there, and shown
  void on_segment(std::uint32_t slot, const wal::SegmentHeader& header) override {
    log_.segments.push_back(LogSegment{slot, header, 0, 0});
  }

  void on_batch(std::uint32_t slot, std::uint32_t block, const wal::BatchView& batch) override {
    LogSegment& segment = log_.segments.back();
    ++segment.batches;
    wal::BatchView::Cursor cursor = batch.begin();
    wal::BatchView::Record record;
    while (batch.next(cursor, record)) {
      ++segment.records;
      LogRecord out;
      out.header = record.header;
      out.segment = segment.header.id.number;
      out.slot = slot;
      out.offset = std::uint64_t{block} * wal::block_bytes;
      if (has_payload(record.header) && record.extents.empty()) {
        out.payload_offset = out.offset + std::uint64_t{record.payload_block} * wal::block_bytes;
      }
      out.crcs.assign(record.crcs.begin(), record.crcs.end());
      on_record_(out);
    }
  }

 private:
  ReplicaLog& log_;
  const std::function<void(const LogRecord&)>& on_record_;
};

}  // namespace

ReplicaLog read_replica(const std::string& directory,
                        const std::function<void(const LogRecord&)>& on_record) {
  FileDisk disk(directory);
  const std::string super_path = fmt::format("{}/{}", directory, wal::super_name);
  const Result<wal::FileId> super = disk.open(wal::super_name);
  if (!super) refuse(super_path, super.error());
  ReplicaLog log;
  Result<wal::LoadedSuper> loaded = wal::load_super(disk, *super);
  disk.close(*super);
  if (!loaded) refuse(super_path, loaded.error());
  log.super = *loaded;
  const wal::DiskSuper& facts = log.super.super;
  log.layout = wal::layout_of(facts);
  const auto boot = boot_of_machine();
  const bool same_boot = boot.hi == facts.boot_hi && boot.lo == facts.boot_lo;
  log.power_loss = !same_boot && !wal::has_flag(facts, wal::super_flag_clean);

  std::vector<wal::FileId> files;
  for (std::uint32_t slot = 0; slot < log.layout.segment_count; ++slot) {
    const std::string name = fmt::format("{}/{}", wal::log_directory, slot);
    const Result<wal::FileId> file = disk.open(name);
    if (!file) {
      for (const wal::FileId open : files) disk.close(open);
      refuse(directory + "/" + name, file.error());
    }
    files.push_back(*file);
  }
  const Result<wal::FileId> base = disk.open(wal::base_name);
  if (!base) {
    for (const wal::FileId open : files) disk.close(open);
    refuse(fmt::format("{}/{}", directory, wal::base_name), base.error());
  }
  Collector collector(log, on_record);
  const wal::RecoveryInput input{
      disk,  files,          log.layout, Incarnation{facts.incarnation_hi, facts.incarnation_lo},
      facts, log.power_loss, *base};
  Result<wal::Recovered> recovered = wal::recover_log(input, collector);
  disk.close(*base);
  for (const wal::FileId open : files) disk.close(open);
  if (!recovered) refuse(directory + "/" + wal::log_directory, recovered.error());
  log.recovered = std::move(*recovered);
  return log;
}

bool is_sound(const ReplicaLog& log) {
  const bool slots =
      log.super.slots[0] == wal::SlotState::valid && log.super.slots[1] == wal::SlotState::valid;
  return slots && log.recovered.damage == Damage::none && !log.recovered.broken &&
         !log.recovered.starts_behind;
}

const char* kind_name(RecordKind kind) {
  switch (kind) {
    case RecordKind::write: return "write";
    case RecordKind::discard: return "discard";
    case RecordKind::write_zeroes: return "write_zeroes";
    case RecordKind::term_start: return "term_start";
    case RecordKind::snapshot: return "snapshot";
    case RecordKind::snapshot_delete: return "snapshot_delete";
    case RecordKind::resize: return "resize";
  }
  return "unknown";
}

}  // namespace seawall::cli
