// StoreImpl: the one implementation of Store, over LogState, Index, MapCache and the super block.
//
// Its parts, a file each: writer.cc (append, batches, flushes), reader.cc (read), log_reader.cc
// (read_log), super_queue.cc (changes of the super block), checkpoint.cc (fold), trim.cc,
// base_io.cc (rebuild lanes), open.cc (create, open, close), rewind.cc (rewind, cut, rebuild
// preparation), sweep.cc (allocation bits made anew).
// Life cycle, thread, ownership, errors: store.h. Nothing allocates after open but the blocking
// calls.
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <vector>

#include "engine/base/bounded_map.h"
#include "engine/base/chain.h"
#include "engine/base/ring_buffer.h"
#include "wal/aligned.h"
#include "wal/allocator.h"
#include "wal/index.h"
#include "wal/lanes.h"
#include "wal/log_state.h"
#include "wal/map_cache.h"
#include "wal/named.h"
#include "wal/operations.h"
#include "wal/recovery.h"
#include "wal/store.h"
#include "wal/super.h"
#include "wal/watch.h"

namespace seawall::wal {

class StoreImpl final : public Store {
 public:
  StoreImpl(Disk& disk, const OpenOptions& options, Sink& sink, const Layout& layout);
  ~StoreImpl() override;

  Status open(FileId super_file, const LoadedSuper& loaded);

  const ReplicaFacts& facts() const override { return facts_; }
  const RequestTables& requests() const override { return requests_; }
  std::span<const RecordHeader> unknown() const override { return unknown_; }
  StoreStats stats() const override { return stats_; }
  Opening opening() const override;
  FoldedPoint folded() const override;
  bool append(const RecordHeader& header, std::span<const std::byte> payload,
              std::span<const std::uint32_t> crcs) override;
  void flush() override;
  void pump(Instant now) override;
  void read(ReadOp& op) override;
  void read_log(LogReadOp& op) override;
  void write_super(const SuperUpdate& update, std::uint64_t token) override;
  void set_fold_limit(Lsn upto) override;
  void request_checkpoint() override { checkpoint_wanted_ = true; }
  void pin(std::uint64_t pin, Lsn from) override;
  void unpin(std::uint64_t pin) override;
  std::optional<Instant> wake_at() const override;
  void freeze_base() override { ++freezes_; }
  void thaw_base() override;
  bool frozen() const override;
  std::uint64_t extents_mapped() const override { return extents_mapped_; }
  void read_base(BaseReadOp& op) override;
  void read_map(MapReadOp& op) override;
  bool base_doubtful() const override { return base_doubtful_; }
  void write_base(BaseWriteOp& op) override;
  void flush_base(void (*done)(void*, Errc), void* owner) override;
  bool idle() const override;
  void quiesce() override { quiescing_ = true; }
  bool map_is_rotten() const override { return map_rotten_; }
  void distrust_base() override;
  Status rewind_blocking(Lsn to) override;
  Status prepare_rebuild_blocking(const RebuildMarker& marker, const std::optional<Floor>& floor,
                                  Term cut_term, std::uint64_t cut_chain, const TermTable& terms,
                                  const RequestTables& requests, bool keep_base) override;
  Status repair_log_blocking(std::span<const RecordRepair> repairs) override;
  Result<std::size_t> repair_blocks_blocking(Lba lba, std::span<const std::byte> blocks) override;
  Status close_blocking(bool clean) override;

 private:
  class Loader;  // fills log state and index while recovery walks

  // --- writer.cc ---
  WriteBatch* open_batch(const RecordHeader& header, const RecordSize& size);
  bool place_batch(WriteBatch& batch, const RecordHeader& header, const RecordSize& size);
  bool start_segment(WriteBatch& batch, const RecordHeader& header);
  static bool fits(const WriteBatch& batch, const RecordSize& size);
  void seal_open_batch();
  void submit_batches();
  void submit_batch(WriteBatch& batch);
  static void on_batch_done(Op& op);
  void advance_written();
  void account_batch(const WriteBatch& batch);
  void add_to_index(const RecordHeader& header, std::uint32_t place);
  void note_term(const RecordHeader& header, std::uint64_t chain_before);
  std::uint32_t note_crcs(const BatchView::Record& record, std::uint32_t batch_place);

  // --- large_write.cc ---
  bool plan_large(const RecordHeader& header, LargePlan& plan);
  void put_large(WriteBatch& batch, const RecordHeader& header, const LargePlan& plan,
                 std::span<const std::byte> payload, std::span<const std::uint32_t> crcs);
  static void on_large_done(Op& op);
  [[nodiscard]] bool tail_names_enough() const;
  void name_extents(const BatchView::Record& record);

  // --- space.cc ---
  struct Bits {  // pages of the allocation bits of two extents, each where there is one
    MapPage* off = nullptr;
    MapPage* on = nullptr;
  };
  bool pages_of_bits(std::uint32_t off, std::uint32_t on, MapWaiter& waiter, Bits& bits);
  void change_bits(const Bits& bits, std::uint32_t off, std::uint32_t on);
  Allocator::Found find_extent(std::uint64_t home, MapWaiter& waiter, std::uint32_t& extent);
  [[nodiscard]] std::uint8_t take_base_ticket();
  void return_base_ticket(std::uint8_t epoch);
  void release_later(bool bits);
  [[nodiscard]] bool releasing() const { return release_wanted_ || draining_; }
  [[nodiscard]] bool release_is_due() const;
  void pump_release();

  // --- flush ---
  void maybe_sync();
  static void on_sync_done(Op& op);
  void say_log_space();
  [[nodiscard]] std::uint8_t fill_percent() const;
  [[nodiscard]] std::uint8_t named_percent(std::size_t spare) const;
  [[nodiscard]] bool must_make_room() const;

  // --- reader.cc ---
  void pump_reads();
  void start_read(ReadContext& context, ReadOp& op);
  void plan_read(ReadContext& context);
  bool plan_part(ReadContext& context);
  bool plan_base(ReadContext& context, std::uint64_t lba, std::uint32_t blocks);
  ReadContext::Part* free_part(ReadContext& context);
  void submit_part(ReadContext::Part& part, FileId file, std::uint64_t offset);
  void submit_large_part(ReadContext& context, ReadContext::Part& part, std::uint32_t place,
                         std::uint32_t blocks);
  void zero_blocks(ReadContext& context, std::uint32_t blocks);
  static void on_read_part(Op& op);
  void finish_read(ReadContext& context);
  bool read_verifies(ReadContext& context, const ReadContext::Part& part);

  // --- log_reader.cc ---
  void pump_log_reads();
  void start_log_read(LogReadContext& context);
  static void on_log_read(Op& op);
  bool plan_log_read(LogReadContext& context);
  void read_log_payload(LogReadContext& context);
  bool plan_log_parts(LogReadContext& context, const BatchView::Record& record);
  void read_log_parts(LogReadContext& context);
  static void on_log_part(Op& op);
  void deliver_log_read(LogReadContext& context);
  void end_unknown(LogReadContext& context);
  void on_log_unreadable(LogReadContext& context);
  void end_log_read(LogReadContext& context, Errc result);

  // --- super_queue.cc ---
  std::uint64_t super_change();  // round after which what changed now is durable
  void pump_super();
  static void on_super_done(void* owner, int error);
  void apply_super_facts();
  Status store_super_now();  // blocking

  // --- checkpoint.cc, place.cc ---
  void prepare_fold();
  void pump_checkpoint();
  [[nodiscard]] std::optional<Lsn> next_cut() const;
  [[nodiscard]] Lsn fold_ceiling() const;
  void start_checkpoint(Lsn cut);
  void fold_read_chunk();
  static void on_fold_read(Op& op);
  void fold_place();
  bool fold_place_record();
  bool fold_place_range(std::uint32_t blocks);
  bool fold_place_large();
  bool fold_entry(std::uint64_t extent, std::uint32_t first, std::uint32_t blocks);
  bool fold_change(MapPage& page, std::uint64_t extent, std::uint32_t first, std::uint32_t blocks);
  bool fold_target(const EntryRef& entry, const DiskEntry& head, std::uint64_t extent,
                   std::uint64_t mask, std::uint32_t& target);
  [[nodiscard]] bool fold_superseded(std::uint64_t lba, std::uint32_t& blocks) const;
  bool fold_find(std::uint64_t extent, std::uint32_t& target);
  void drop_moves(std::uint32_t physical);
  void fold_page_missing();
  bool fold_page_bad(const MapPage& page, std::uint64_t extent);
  void note_rotten(bool bits);
  void fold_move_blocks(EntryRef& entry, std::uint64_t physical, std::uint32_t first,
                        std::uint32_t blocks);

  // --- copy.cc ---
  bool fold_copy(const EntryRef& entry, std::uint64_t extent, std::uint64_t rest,
                 std::uint32_t& target);
  static void on_copy_read(Op& op);
  static void on_copy_written(Op& op);
  [[nodiscard]] const std::byte* fold_payload(std::uint32_t block) const;
  [[nodiscard]] bool fold_payload_verifies() const;
  [[nodiscard]] bool fold_is_due() const;
  [[nodiscard]] bool pump_is_due() const;
  void fold_write_base();
  void fold_submit_moves();
  static void on_fold_write(Op& op);
  void fold_write_pages();
  void fold_pages_written();
  void write_pages(std::uint64_t generation, void (StoreImpl::*then)());
  void submit_pages();
  static void on_page_written(Op& op);
  void fold_flush();
  static void on_fold_sync(Op& op);
  void fold_commit();
  void fold_committed();
  static void on_map_ready(void* owner);
  FoldOp* free_fold_op();
  void set_generations();

  // --- trim.cc ---
  enum class TrimWhen : std::uint8_t { with_commit, crowded };
  [[nodiscard]] std::size_t spare_segments(Lsn applied) const;
  [[nodiscard]] Lsn kept_from(std::size_t trimmed) const;
  [[nodiscard]] std::uint32_t segments_to_trim(Lsn applied, TrimWhen when) const;
  bool plan_trim(Lsn applied, TrimWhen when);
  void tell_trim();
  [[nodiscard]] bool trim_is_due() const;
  void maybe_trim();
  void finish_trim();
  void pump_sweep();
  [[nodiscard]] std::uint32_t mixed_crc(std::uint32_t crc, std::uint64_t lba) const;

  // --- base_io.cc ---
  void run_base_read();
  bool step_base_read();
  void submit_lane(BaseLane& lane, Op::Kind kind, std::uint32_t physical, std::uint64_t present,
                   std::byte* bytes, void (*done)(Op&));
  static void on_base_read(Op& op);
  void end_base_read(Errc result);
  [[nodiscard]] std::uint64_t first_extent_from(Lba from) const;
  void run_map_read();  // map_scan.cc
  bool step_map_read();
  void end_map_read(Errc result);
  void run_base_write();
  bool step_base_write();
  bool put_base_entry(MapPage& page, BaseWriteOp& op, std::uint64_t extent);
  void make_room_for_lane();
  static void on_base_write(Op& op);
  void end_base_write(Errc result);
  void run_flush_base();
  void flush_base_data(bool make_room);
  static void on_base_data(Op& op);
  void flush_base_pages();
  void end_flush_base();
  static void on_flush_base(Op& op);
  void base_pages_written();

  // --- repair.cc ---
  Status repair_records(std::span<const RecordRepair> repairs);
  Status mark_lost();
  Status restore_headers();
  struct RecordPlace {
    struct Piece {
      FileId file = no_file;
      std::uint64_t offset = 0;
      std::size_t bytes = 0;
    };
    std::vector<Piece> pieces;  // of its payload: in the segment, or extents of the base
    std::vector<std::uint32_t> crcs;
  };
  Result<RecordPlace> place_of(Lsn lsn);
  struct BlockPlace {
    FileId file = no_file;
    std::uint64_t offset = 0;
    std::uint32_t crc = 0;
  };
  std::optional<BlockPlace> place_of(Lba lba);
  void note_unknown(const RecordHeader& header);
  void note_first_unknown();

  // --- open.cc, rewind.cc ---
  Status open_files();
  Status load_log(bool power_loss);
  Status settle(const LoadedSuper& loaded, bool power_loss);
  Status cut_log(Lsn end);
  Status copy_segment(std::uint32_t from, std::uint32_t to, const SegmentHeader& header, Lsn end);
  Status copy_batch(const BatchPlace& place, std::uint32_t to, const SegmentId& id, Lsn end,
                    AlignedBuffer& buffer);
  Status clear_headers(std::span<const std::uint32_t> slots);
  Result<std::uint32_t> fresh_slot(std::vector<std::uint32_t>& clear);
  Status sync_log();
  Status rewrite_unproven(bool power_loss);
  bool segment_reads(std::uint32_t slot, FileId file, AlignedBuffer& buffer);
  [[nodiscard]] bool holds_unknown(std::uint32_t slot) const;
  Status open_batch(const BatchPlace& batch, std::span<const std::byte> bytes,
                    BatchView& view) const;
  Status check_batch(const BatchPlace& batch, std::span<const std::byte> bytes) const;
  [[nodiscard]] bool is_unknown(Lsn lsn) const;
  Status rewrite_extents(const BatchPlace& batch, std::span<const std::byte> bytes);
  Status sweep_aborted();

  // --- sweep.cc ---
  Status sweep_bits();
  [[nodiscard]] Result<bool> find_owners(std::vector<bool>& owned);
  Status write_bits(const std::vector<bool>& owned, std::uint64_t generation);
  Status rewind_log(Lsn to);
  Status end_exclusive(Status status);
  void forget_log(Lsn cut, Term term, std::uint64_t chain, const TermTable& terms);
  void reserve_versions();

  void fail(Error error);
  [[nodiscard]] bool disk_owes() const;
  [[nodiscard]] std::optional<Instant> work_at() const;  // what is due but for the watch
  void watch_disk(Instant last_look);
  void tell_failure();
  [[nodiscard]] bool reads_idle() const;
  [[nodiscard]] bool stopped() const { return failed_.has_value() || quiescing_; }

  // constant after open
  Disk& disk_;
  Sink& sink_;
  const OpenOptions options_;
  const Layout layout_;
  FileId super_file_ = no_file;
  FileId base_file_ = no_file;
  FileId map_file_ = no_file;
  std::uint32_t crc_seed_ = 0;

  // state
  DiskSuper super_{};       // what is durable
  DiskSuper super_next_{};  // with the changes that wait or are under way
  ReplicaFacts facts_;
  StoreStats stats_;
  Opening found_;  // as of the opening
  std::optional<Error> failed_;
  bool failure_told_ = false;
  bool quiescing_ = false;
  bool closed_ = false, map_rotten_ = false;
  bool broken_ = false;  // the chain is damaged: nothing is appended
  std::vector<RecordHeader> unknown_;  // by lsn; sized at open
  std::optional<Lsn> first_unknown_;   // of those, beyond `applied`: nothing is folded over it
  std::vector<Lsn> lost_marks_;        // get the flag while a segment is copied
  Recovered recovered_;  // what the last walk over the log found
  Instant now_;

  LogState log_;
  Index index_;
  RequestTables requests_;  // as of the end of the log when it was loaded last
  Named named_;
  MapCache map_;
  Allocator allocator_;

  // writer
  std::vector<WriteBatch> batches_;
  RingBuffer<WriteBatch*, batch_pool_max> free_batches_;
  RingBuffer<WriteBatch*, batch_pool_max> sealed_;
  RingBuffer<WriteBatch*, batch_pool_max> in_flight_;
  WriteBatch* open_ = nullptr;
  AlignedBuffer segment_headers_;  // one block a batch
  Lsn appended_;
  std::uint64_t appended_chain_ = 0;
  Term appended_term_;
  std::optional<std::uint32_t> tail_;
  std::uint32_t tail_block_ = 0;
  std::uint64_t last_number_ = 0;
  std::uint64_t next_version_ = 0;
  Lsn flush_wanted_;
  std::vector<Op> sync_ops_;  // one a segment; the last one is the base's
  bool named_twice_ = false;
  bool base_dirty_ = false;   // a large write reached it since its last flush was issued
  std::uint32_t syncs_running_ = 0;
  DiskWatch watch_;
  std::int64_t sync_error_ = 0;
  Lsn sync_covers_;
  bool space_wanted_ = false;
  std::uint8_t fill_told_ = 0;

  // super
  SuperWriter super_writer_;
  DiskSuper super_writing_{};
  std::uint64_t rounds_started_ = 0;
  std::uint64_t rounds_done_ = 0;
  std::uint64_t rounds_wanted_ = 0;
  struct Token {
    std::uint64_t token = 0;
    std::uint64_t round = 0;
  };
  RingBuffer<Token, super_tokens_max> tokens_;

  // reads
  std::vector<ReadContext> reads_;
  RingBuffer<ReadContext*, read_pool_max> free_reads_;
  ReadOp* waiting_reads_head_ = nullptr;
  ReadOp* waiting_reads_tail_ = nullptr;
  std::vector<LogReadContext> log_reads_;
  RingBuffer<LogReadContext*, log_read_pool_max> free_log_reads_;
  LogReadOp* waiting_log_reads_head_ = nullptr;
  LogReadOp* waiting_log_reads_tail_ = nullptr;

  // checkpoint and trim
  FoldState fold_;
  ExtentCopy copy_;
  struct PageWrites {
    std::uint64_t generation = 0;
    void (StoreImpl::*then)() = nullptr;
    std::size_t cursor = 0;
    std::uint32_t running = 0;
  };
  PageWrites page_writes_;
  // What a commit or a trim lets go, once no read from before it is under way.
  bool release_wanted_ = false, release_bits_ = false;
  bool draining_ = false, drain_bits_ = false;
  std::array<std::uint32_t, 2> base_tickets_{};
  std::uint8_t epoch_ = 0;
  Lsn released_;  // names of records below it go
  AlignedBuffer fold_chunk_;
  Op fold_read_op_;
  iovec fold_read_iov_{};
  std::array<Op, 2> fold_syncs_;
  std::vector<FoldOp> fold_ops_;
  std::vector<FoldMove> fold_moves_;
  std::size_t fold_next_move_ = 0;
  MapWaiter fold_waiter_;
  Lsn fold_limit_;
  bool checkpoint_wanted_ = false;
  std::uint64_t untrusted_round_ = 0;  // a rotten page is being noted in the super block
  std::uint64_t folds_ = 0;            // checkpoints that touched the base, begun
  std::optional<Instant> oldest_unfolded_;
  std::uint32_t freezes_ = 0;
  BoundedMap<std::uint64_t, Lsn, pins_max> pins_;
  std::uint32_t trim_count_ = 0;  // segments that go once their super write is durable
  std::uint64_t trim_round_ = 0;
  bool sweeping_ = false;
  std::uint64_t sweep_cursor_ = 0, extents_mapped_ = 0;

  // base lanes
  BaseLane base_read_, base_write_;
  RingBuffer<BaseReadOp*, base_queue_max> base_reads_;
  RingBuffer<BaseWriteOp*, base_queue_max> base_writes_;
  std::uint64_t base_read_extent_ = 0;
  RingBuffer<MapReadOp*, base_queue_max> map_reads_;
  MapWaiter map_waiter_;
  BaseFlush base_flush_;
  bool base_lane_open_ = false;  // the checkpointer rests
  bool lane_folded_ = false;     // a checkpoint ran behind the base lane
  bool base_doubtful_ = false;   // its map may say other than its data does
};

}  // namespace seawall::wal
