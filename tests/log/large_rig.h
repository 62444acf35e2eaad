// A rig whose large writes go past the log, and what the tests of them share.
#pragma once

#include "tests/log/crash_drive.h"
#include "tests/log/space_check.h"

namespace seawall::wal {

inline constexpr std::uint64_t large = 16;  // blocks of a large write: four extents of 16 KiB
inline constexpr std::uint64_t per_extent = 4;

// 512 blocks in 128 extents; a log of 4 MiB, so that a record may have 64 KiB.
inline Rig large_rig(std::uint64_t blocks = 512) {
  Rig rig(blocks, 4 << 20, 16 * 1024);
  rig.large_blocks = large;
  rig.large_extent_blocks = per_extent;
  return rig;
}

// The first large write brings the page of the allocation bits in, and goes through the log.
inline void open_warm(Rig& rig) {
  ASSERT_TRUE(rig.open().has_value());
  ASSERT_TRUE(rig.write(0, large));
  rig.run();
}

inline void fold(Rig& rig) {
  rig.flush();
  rig.settle_stable();
  rig.store->request_checkpoint();
  rig.run();
}

inline std::uint64_t base_bytes(Rig& rig) { return rig.store->stats().base_bytes; }
inline std::uint64_t log_bytes(Rig& rig) { return rig.store->stats().log_bytes; }

struct Served {
  RecordHeader header;
  Errc result = Errc::ok;
  std::vector<std::byte> bytes;
};

inline Served serve(Rig& rig, Lsn lsn) {
  Served served;
  AlignedBuffer into(large * 4096);
  std::uint32_t crcs[large];
  LogReadOp op;
  op.from = lsn;
  op.upto = lsn;
  op.into = into.span();
  op.headers = {&served.header, 1};
  op.crcs = crcs;
  op.done = [](LogReadOp&) {};
  rig.store->read_log(op);
  rig.run();
  served.result = op.result;
  served.bytes.assign(into.data(), into.data() + payload_bytes(served.header).value());
  return served;
}

// The record goes out as it came in, whatever has happened to its blocks since.
inline void expect_served(Rig& rig, Lsn lsn) {
  const Served served = serve(rig, lsn);
  ASSERT_EQ(served.result, Errc::ok) << "record " << lsn.value();
  EXPECT_EQ(served.header, rig.header(lsn));
  std::vector<std::byte> wanted(4096);
  const std::uint64_t blocks = served.bytes.size() / 4096;
  for (std::uint64_t i = 0; i < blocks; ++i) {
    fill_block(wanted.data(), rig.expected(lsn, served.header.lba.value() + i));
    ASSERT_EQ(std::memcmp(wanted.data(), served.bytes.data() + i * 4096, 4096), 0)
        << "block " << i << " of record " << lsn.value();
  }
}

inline Lsn first_with_payload(Rig& rig, Lsn from) {
  while (!has_payload(rig.header(from))) from = from.next();
  return from;
}

}  // namespace seawall::wal
