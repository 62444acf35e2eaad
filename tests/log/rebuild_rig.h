// Two stores of one volume: a source with a frozen base, and a target between marker and
// acceptance.
//
// The source is filled, folded and frozen at its cut; the target has a past of its own. Columns are
// copied by hand, so that a test decides when each of them arrives.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "tests/log/rig.h"

namespace seawall::wal {

struct Column {
  ExtentHeader header;
  std::unique_ptr<AlignedBuffer> bytes;
  std::vector<std::uint32_t> crcs;
  BaseWriteOp op;
};

class RebuildPair {
 public:
  explicit RebuildPair(std::uint64_t blocks = 128) : source(blocks), target(blocks) {
    EXPECT_TRUE(source.open().has_value());
    EXPECT_TRUE(target.open().has_value());
    EXPECT_TRUE(source.start_term());
  }

  static void fold(Rig& rig) {
    rig.flush();
    rig.settle_stable();
    rig.store->request_checkpoint();
    rig.run();
  }

  void freeze() {
    fold(source);
    cut = source.store->folded();
    source.store->freeze_base();
    columns = copy_base();
  }

  // Marker durable, the target's own log forgotten; its model becomes that of the source.
  // As the engine does it: a base that is not trusted is given up.
  void prepare() {
    const bool keep_base = target.store->facts().damage != Damage::base_untrusted;
    target.store->quiesce();
    target.run();
    RebuildMarker marker;
    marker.session = SessionId{Epoch(4), ++sessions};
    marker.cut = cut.lsn;
    if (keep_base) marker.start = target.store->facts().marks.applied;
    ASSERT_TRUE(target.store
                    ->prepare_rebuild_blocking(marker, std::nullopt, cut.term, cut.chain,
                                               source.store->facts().terms, {}, keep_base)
                    .has_value());
    target.adopt(source);
    target.forget_beyond(cut.lsn);
  }

  std::vector<Column> copy_base() { return copy_base_of(source); }

  static std::vector<Column> copy_base_of(Rig& rig) {
    std::vector<Column> all;
    for (Lba from(0);;) {
      Column column{{}, std::make_unique<AlignedBuffer>(64 * 1024), std::vector<std::uint32_t>(16),
                    {}};
      BaseReadOp op;
      op.from = from;
      op.into = column.bytes->span();
      op.crcs = column.crcs;
      op.done = [](BaseReadOp&) {};
      rig.store->read_base(op);
      rig.run();
      EXPECT_EQ(op.result, Errc::ok);
      if (op.end || op.result != Errc::ok) return all;
      column.header = op.header;
      from = op.header.lba + BlockCount(16);
      all.push_back(std::move(column));
    }
  }

  void submit(Column& column) {
    const auto blocks = static_cast<std::size_t>(__builtin_popcountll(column.header.present));
    column.op = BaseWriteOp{};
    column.op.header = column.header;
    column.op.from = {column.bytes->data(), blocks * 4096};
    column.op.crcs = {column.crcs.data(), blocks};
    column.op.done = [](BaseWriteOp&) {};
    target.store->write_base(column.op);
  }

  void end_lane() {
    Errc flushed = Errc::internal;
    target.store->flush_base([](void* owner, Errc result) { *static_cast<Errc*>(owner) = result; },
                             &flushed);
    target.run();
    EXPECT_EQ(flushed, Errc::ok);
  }

  void clear_marker() {
    SuperUpdate update;
    update.clear_marker = true;
    target.store->write_super(update, 3);
    target.run();
    EXPECT_FALSE(target.store->facts().marker.has_value());
  }

  Rig source, target;
  FoldedPoint cut;
  std::vector<Column> columns;
  std::uint64_t sessions = 0;
};

}  // namespace seawall::wal
