// FakeStore: a Store in memory for tests of the runtime alone: completes when it is told to,
// refuses when it is told to, and remembers every call.
//
// Not a model of wal/: no crash, no checkpoint, no damage. Life cycle: a test's. Thread: one.
#pragma once

#include <algorithm>
#include <cstring>
#include <deque>
#include <map>
#include <string>
#include <vector>

#include "wal/crc32c.h"
#include "wal/store.h"

namespace seawall::testing {

struct FakeRecord {
  RecordHeader header;
  std::vector<std::byte> payload;
  std::vector<std::uint32_t> crcs;
};

class FakeStore : public wal::Store {
 public:
  explicit FakeStore(wal::Sink& sink) : sink_(sink) {}

  // --- knobs ---
  std::size_t room = ~std::size_t{0};  // records that append() still takes
  bool answers = true;                 // pump() completes what is queued
  std::vector<std::string> calls;      // of everything but pump, idle and getters
  std::vector<FakeRecord> log;
  ReplicaFacts state;
  RequestTables tables;

  const ReplicaFacts& facts() const override { return state; }
  const RequestTables& requests() const override { return tables; }
  wal::StoreStats stats() const override { return {}; }
  wal::FoldedPoint folded() const override { return folded_; }

  bool append(const RecordHeader& header, std::span<const std::byte> payload,
              std::span<const std::uint32_t> crcs) override {
    if (room == 0) return false;
    --room;
    const std::uint64_t before = log.empty() ? state.chain : log.back().header.chain;
    if (state.terms.empty() || state.terms.back().term != header.term) {
      state.terms.push_back({header.term, header.lsn, before});
    }
    calls.push_back("append " + std::to_string(header.lsn.value()));
    log.push_back({header, {payload.begin(), payload.end()}, {crcs.begin(), crcs.end()}});
    return true;
  }
  void flush() override {
    calls.push_back("flush");
    flush_ = true;
  }
  void pump(Instant) override {
    if (!answers || quiesced_) return;
    complete();
  }
  // What a disk would have done by now.
  void complete() {
    if (!log.empty() && log.back().header.lsn > state.marks.written) {
      state.marks.written = log.back().header.lsn;
      state.last_term = log.back().header.term;
      state.chain = log.back().header.chain;
      sink_.on_written(state.marks.written);
    }
    if (flush_) {
      flush_ = false;
      state.marks.durable = state.marks.written;
      sink_.on_durable(state.marks.durable);
    }
    for (; !supers_.empty(); supers_.pop_front()) sink_.on_super_written(supers_.front());
    std::deque<wal::ReadOp*> reads;
    reads.swap(reads_);
    for (wal::ReadOp* op : reads) finish(*op);
    std::deque<wal::LogReadOp*> log_reads;
    log_reads.swap(log_reads_);
    for (wal::LogReadOp* op : log_reads) finish(*op);
    std::deque<wal::MapReadOp*> maps;
    maps.swap(maps_);
    for (wal::MapReadOp* op : maps) op->done(*op);
  }
  void fail() { sink_.on_failed(make_error(Errc::io_error, "the disk said no")); }

  void read(wal::ReadOp& op) override {
    calls.push_back("read");
    reads_.push_back(&op);
  }
  void read_log(wal::LogReadOp& op) override {
    calls.push_back("read_log " + std::to_string(op.from.value()));
    log_reads_.push_back(&op);
  }
  void write_super(const wal::SuperUpdate& update, std::uint64_t token) override {
    calls.push_back("write_super " + std::to_string(token));
    if (update.promised.has_value()) state.promised = *update.promised;
    supers_.push_back(token);
  }
  void set_fold_limit(Lsn) override {}
  void request_checkpoint() override {}
  void pin(std::uint64_t pin, Lsn from) override {
    calls.push_back("pin " + std::to_string(pin) + " " + std::to_string(from.value()));
  }
  void unpin(std::uint64_t pin) override { calls.push_back("unpin " + std::to_string(pin)); }
  std::optional<Instant> wake_at() const override { return std::nullopt; }

  void freeze_base() override { ++frozen_; }
  void thaw_base() override { --frozen_; }
  bool frozen() const override { return frozen_ > 0; }
  int freezes() const { return frozen_; }
  std::uint64_t extents_mapped() const override { return 0; }
  void read_base(wal::BaseReadOp& op) override {
    op.end = true;
    op.done(op);
  }
  void read_map(wal::MapReadOp& op) override {
    op.count = 0;
    op.scanned = op.upto;
    if (answers) op.done(op);
    else maps_.push_back(&op);
  }
  bool base_doubtful() const override { return false; }
  void write_base(wal::BaseWriteOp& op) override { op.done(op); }
  void flush_base(void (*done)(void*, Errc), void* owner) override { done(owner, Errc::ok); }

  bool idle() const override { return idle_ && reads_.empty() && log_reads_.empty(); }
  void set_idle(bool idle) { idle_ = idle; }
  void quiesce() override {
    calls.push_back("quiesce");
    quiesced_ = true;
  }
  Status rewind_blocking(Lsn to) override {
    calls.push_back("rewind " + std::to_string(to.value()));
    while (!log.empty() && log.back().header.lsn > to) log.pop_back();
    state.marks.written = std::min(state.marks.written, to);
    state.marks.durable = state.marks.written;
    quiesced_ = false;
    return ok();
  }
  Status prepare_rebuild_blocking(const RebuildMarker& marker, const std::optional<Floor>& floor,
                                  Term cut_term, std::uint64_t cut_chain, const TermTable& terms,
                                  const RequestTables& requests, bool) override {
    calls.push_back("prepare " + std::to_string(marker.cut.value()));
    log.clear();
    state.marker = marker;
    state.floor = floor;
    state.marks = {marker.cut, marker.cut, marker.cut, marker.cut};
    state.last_term = cut_term;
    state.chain = cut_chain;
    state.terms = terms;
    tables = requests;
    quiesced_ = false;
    return ok();
  }
  Status repair_log_blocking(std::span<const wal::RecordRepair> repairs) override {
    for (const wal::RecordRepair& repair : repairs) {
      calls.push_back("repair " + std::to_string(repair.lsn.value()) +
                      (repair.payload.empty() ? " lost" : ""));
    }
    quiesced_ = false;
    return ok();
  }
  Result<std::size_t> repair_blocks_blocking(Lba lba, std::span<const std::byte>) override {
    calls.push_back("repair_blocks " + std::to_string(lba.value()));
    quiesced_ = false;
    return std::size_t{1};
  }
  Status close_blocking(bool clean) override {
    calls.push_back(clean ? "close clean" : "close");
    return ok();
  }

 private:
  void finish(wal::ReadOp& op) {
    std::fill(op.into.begin(), op.into.end(), std::byte{0});
    for (std::size_t i = 0; i < op.crcs.size(); ++i) op.crcs[i] = 0x98f94189u;
    for (const FakeRecord& record : log) {
      for (std::size_t b = 0; record.header.kind == RecordKind::write && b < record.crcs.size();
           ++b) {
        const std::uint64_t lba = record.header.lba.value() + b;
        if (lba < op.lba.value() || lba >= op.lba.value() + op.blocks.value()) continue;
        const std::size_t at = lba - op.lba.value();
        std::memcpy(op.into.data() + at * 4096, record.payload.data() + b * 4096, 4096);
        op.crcs[at] = record.crcs[b];
      }
    }
    op.result = Errc::ok;
    op.done(op);
  }
  void finish(wal::LogReadOp& op) {
    std::size_t at = 0;
    std::size_t crc = 0;
    for (const FakeRecord& record : log) {
      if (record.header.lsn < op.from || record.header.lsn > op.upto) continue;
      if (at + record.payload.size() > op.into.size() || op.count == op.headers.size()) break;
      if (!record.payload.empty()) {
        std::memcpy(op.into.data() + at, record.payload.data(), record.payload.size());
      }
      std::copy(record.crcs.begin(), record.crcs.end(), op.crcs.begin() + static_cast<long>(crc));
      at += record.payload.size();
      crc += record.crcs.size();
      op.headers[op.count++] = record.header;
    }
    op.result = op.count > 0 ? Errc::ok : Errc::not_found;
    op.done(op);
  }

  wal::Sink& sink_;
  wal::FoldedPoint folded_;
  bool flush_ = false;
  bool idle_ = true;
  bool quiesced_ = false;
  int frozen_ = 0;
  std::deque<std::uint64_t> supers_;
  std::deque<wal::ReadOp*> reads_;
  std::deque<wal::LogReadOp*> log_reads_;
  std::deque<wal::MapReadOp*> maps_;
};

}  // namespace seawall::testing
