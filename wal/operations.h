// What the operations of a StoreImpl carry from one step to the next: batches, reads, the
// checkpoint, a copy, the base lanes.
//
// Plain states, sized once, owned by the store; each part of it (store_impl.h) knows its own.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "engine/base/request_table.h"
#include "wal/aligned.h"
#include "wal/allocator.h"
#include "wal/disk.h"
#include "wal/log_state.h"
#include "wal/map_cache.h"
#include "wal/segment.h"
#include "wal/store.h"

namespace seawall::wal {

inline constexpr std::size_t batch_pool_max = 32;
inline constexpr std::size_t batches_in_flight_max = 8;
inline constexpr std::size_t read_pool_max = 64;
inline constexpr std::size_t read_parts_max = 8;
inline constexpr std::size_t log_read_pool_max = 4;
inline constexpr std::size_t map_pages_max = 512;
inline constexpr std::size_t pins_max = 16;
inline constexpr std::size_t super_tokens_max = 64;
inline constexpr std::size_t fold_ops_max = 16;
inline constexpr std::size_t fold_iov_max = 64;
inline constexpr std::size_t large_parts_max = 16;  // runs of extents in a batch

class StoreImpl;

// Where the payload of a large write goes.
struct LargePlan {
  std::array<Allocator::Run, large_parts_max> runs;
  std::uint32_t run_count = 0;
  std::uint32_t extents = 0;
  std::uint64_t cursor = 0;  // of the allocator, behind them
};

// What a record takes of a batch.
struct RecordSize {
  std::size_t header_bytes = 0;
  std::uint32_t log_blocks = 0;  // payload in the log
  std::uint32_t parts = 0;       // payload in the base
};

struct WriteBatch {
  struct Part {  // a run of extents
    Op op;
    iovec iov{};
  };
  Op op;
  std::array<Part, large_parts_max> parts;
  std::uint32_t part_count = 0;  // a batch has payload in the log or in the base, never in both
  std::uint32_t running = 0;     // operations
  StoreImpl* store = nullptr;
  AlignedBuffer header;
  std::size_t header_bytes = 0;
  std::array<iovec, batch_records_max + 2> iov{};
  std::uint32_t iov_count = 2;  // [0]: segment header, or nothing; [1]: batch header
  Lsn first_lsn, last_lsn;
  std::uint64_t chain_before = 0;
  std::uint32_t count = 0;
  std::uint32_t payload_blocks = 0;
  std::uint32_t slot = 0;
  std::uint32_t block = 0;
  std::uint32_t room = 0;  // blocks left in the segment from `block` on
  bool starts_segment = false;
  [[nodiscard]] bool done() const { return running == 0; }
};

struct ReadContext {
  struct Part {
    Op op;
    iovec iov{};
    ReadContext* context = nullptr;
    std::uint32_t first_block = 0;  // of the request
    std::uint32_t blocks = 0;
    std::int32_t slot = -1;   // ticket of a log segment; -1: base
    std::uint8_t epoch = 0;   // ticket of the base
    bool busy = false;
  };
  StoreImpl* store = nullptr;
  ReadOp* request = nullptr;
  std::array<Part, read_parts_max> parts;
  MapWaiter waiter;
  std::uint32_t next_block = 0;
  std::uint32_t running = 0;
  std::uint32_t attempts = 0;
  std::uint64_t folds_seen = 0;
  Errc result = Errc::ok;
  bool planning = false;
};

struct LogReadContext {
  Op op;
  StoreImpl* store = nullptr;
  LogReadOp* request = nullptr;
  AlignedBuffer header;
  std::array<iovec, 2> iov{};
  struct Part {  // a run of extents of large writes
    Op op;
    iovec iov{};
  };
  std::array<Part, large_parts_max> parts;
  std::uint32_t part_count = 0;
  std::uint32_t running = 0;  // of the parts
  std::int64_t error = 0;
  std::uint8_t epoch = 0;
  BatchPlace batch;
  std::uint32_t slot = 0;
  std::uint32_t skip_blocks = 0;  // payload blocks of the batch before `from`
  std::uint32_t take_blocks = 0;
  std::uint32_t take_records = 0;
  bool payload_read = false;
  bool careful = false;  // something was unreadable: one record at a time
};

enum class FoldStage : std::uint8_t {
  idle,
  intent,
  read_log,
  place,
  write_base,
  write_pages,
  flush,
  commit,
};

struct FoldOp {
  Op op;
  std::array<iovec, fold_iov_max> iov{};
  StoreImpl* store = nullptr;
  MapPage* page = nullptr;
  bool busy = false;
};

struct FoldMove {  // one block from the chunk to the base
  std::uint64_t offset = 0;
  const std::byte* from = nullptr;
  std::uint32_t order = 0;
};

struct FoldState {
  FoldStage stage = FoldStage::idle;
  bool pages_then_place = false;  // write_pages makes room and returns to placing
  Lsn cut;
  Term term;  // of the record at `done`
  std::uint64_t chain = 0;
  Lsn done;  // records up to here are placed
  RequestTables requests;  // as of `done`
  std::uint64_t generation = 0;
  std::uint64_t super_round = 0;
  std::uint32_t slot = 0;  // of the chunk
  std::uint32_t chunk_place = 0;
  std::uint32_t chunk_blocks = 0;
  std::uint32_t batch_block = 0;  // of the batch being placed, within the chunk
  BatchView::Cursor cursor;
  bool batch_open = false;
  BatchView batch;
  bool record_open = false;
  BatchView::Record record;
  std::uint64_t lba = 0;  // where in the record placing goes on
  std::uint32_t moves_made = 0;
  std::uint32_t running = 0;
  std::uint32_t syncs = 0;
  std::int64_t mapped_delta = 0;
};

}  // namespace seawall::wal
