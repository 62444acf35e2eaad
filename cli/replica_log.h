// The super block and the log of one replica as they are on disk, read the way opening reads them.
//
// Purpose: `wal dump` and `wal verify`. Life cycle: read_replica() and done. Thread: any; it
// blocks. Nothing is written. The daemon must not be running on it. Errors: Failure that names the
// file.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "wal/recovery.h"

namespace seawall::cli {

struct LogRecord {
  RecordHeader header;
  std::uint64_t segment = 0;         // its number
  std::uint32_t slot = 0;            // log/<slot>
  std::uint64_t offset = 0;          // of the batch in the file, bytes
  std::uint64_t payload_offset = 0;  // in the file, bytes; 0 without payload
  std::vector<std::uint32_t> crcs;
};

struct LogSegment {
  std::uint32_t slot = 0;
  wal::SegmentHeader header;
  std::uint64_t batches = 0, records = 0;
};

struct ReplicaLog {
  wal::LoadedSuper super;
  wal::Layout layout;
  bool power_loss = false;  // it was written under another boot and not stopped cleanly
  std::vector<LogSegment> segments;
  wal::Recovered recovered;
};

// `on_record` hears every record of the retained log, in order.
ReplicaLog read_replica(const std::string& directory,
                        const std::function<void(const LogRecord&)>& on_record);

// True when opening would find all that the replica may have acknowledged.
bool is_sound(const ReplicaLog& log);

const char* kind_name(RecordKind kind);

}  // namespace seawall::cli
