// A whole replica with bytes changed in any of its files: it opens or says why not; what it then
// reads is right or refused by name; and what it has opened and closed opens again.
//
// The input is a list of patches: file, page, place in the page, whether the checksums around are
// mended, length, bytes. The disk beneath has records in the log, a folded base, a torn tail.
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "engine/base/check.h"
#include "tests/fuzz/target.h"
#include "tests/log/rig.h"
#include "wal/map_cache.h"
#include "wal/segment.h"
#include "wal/super.h"

namespace seawall::fuzz {
namespace {

using namespace wal;

constexpr std::size_t head_bytes = 6;
constexpr std::size_t patches_max = 16;
constexpr std::uint64_t blocks = 512;

const MemDisk& sample() {
  static const std::unique_ptr<Rig> rig = [] {
    auto made = std::make_unique<Rig>(blocks);
    Prng prng(7);
    CHECK(made->open().has_value());
    for (int i = 0; i < 120; ++i) {
      if (!made->write_any(prng)) made->flush();
      if (i % 8 == 7) made->flush();
      if (i == 60) {
        made->settle_stable();
        made->store->request_checkpoint();
        made->run();
      }
    }
    made->flush();
    for (int i = 0; i < 5; ++i) made->write_any(prng);
    made->run_in_any_order(prng, 6);
    made->kill(prng);
    return made;
  }();
  return *rig->disk;
}

struct Patch {
  std::string file;
  std::uint64_t page = 0;
  std::size_t at = 0;
  bool mended = false;
  Input bytes;
};

struct File {
  std::string name;
  std::vector<std::uint64_t> pages;  // that were ever written
};

const std::vector<File>& files() {
  static const std::vector<File> all = [] {
    std::vector<File> found;
    for (const std::string& name : sample().names()) {
      found.push_back({name, sample().used_pages(name)});
      if (found.back().pages.empty()) found.back().pages.push_back(0);
    }
    return found;
  }();
  return all;
}

bool next_patch(Input& input, Patch& patch) {
  if (input.size() < head_bytes) return false;
  const auto byte = [&](std::size_t i) { return static_cast<std::uint64_t>(input[i]); };
  const File& file = files()[byte(0) % files().size()];
  patch.file = file.name;
  patch.page = file.pages[byte(1) % file.pages.size()];
  patch.at = (byte(2) | byte(3) << 8) % MemDisk::page_bytes;
  patch.mended = byte(4) % 4 != 0;
  const std::size_t length = std::min<std::size_t>(
      {static_cast<std::size_t>(byte(5) % 32 + 1), input.size() - head_bytes,
       MemDisk::page_bytes - patch.at});
  patch.bytes = input.subspan(head_bytes, length);
  input = input.subspan(head_bytes + length);
  return true;
}

void mend_page(std::span<std::byte> page, std::uint64_t at) {
  std::uint32_t magic = 0;
  std::memcpy(&magic, page.data(), sizeof magic);
  const auto fill = [&](std::size_t offset, std::span<std::byte> of, auto crc_of) {
    std::memset(of.data() + offset, 0, 4);
    const std::uint32_t crc = crc_of(of);
    std::memcpy(of.data() + offset, &crc, 4);
  };
  const auto plain = [](std::span<const std::byte> of) { return crc32c(of); };
  if (magic == segment_magic) fill(offsetof(DiskSegment, crc), page, plain);
  if (magic == batch_magic) {
    DiskBatch head;
    std::memcpy(&head, page.data(), sizeof head);
    const SegmentId id{head.number, head.segment_version};
    if (head.header_blocks == 1) {
      std::memset(page.data() + offsetof(DiskBatch, crc), 0, 4);
      seal_batch(page, batch_seed(test_incarnation, id, static_cast<std::uint32_t>(at)));
    }
  }
  if (magic == entry_magic || magic == bits_magic) {
    for (std::size_t i = 0; i < sectors_per_page; ++i) {
      fill(offsetof(DiskSector, crc), page.subspan(i * sector_bytes, sector_bytes), plain);
    }
  }
}

void apply(MemDisk& disk, const Patch& patch) {
  const std::uint64_t offset = patch.page * MemDisk::page_bytes;
  if (disk.file_size(patch.file) < offset + MemDisk::page_bytes) return;
  std::vector<std::byte> page = disk.peek(patch.file, offset, MemDisk::page_bytes);
  std::memcpy(page.data() + patch.at, patch.bytes.data(), patch.bytes.size());
  if (patch.mended) mend_page(page, patch.page);
  disk.poke(patch.file, offset, page);
  if (!patch.mended || patch.file != super_name) return;
  const std::uint64_t slot = offset / super_slot_bytes * super_slot_bytes;
  std::vector<std::byte> bytes = disk.peek(patch.file, slot, super_slot_bytes);
  std::memset(bytes.data() + offsetof(DiskSuper, crc), 0, 4);
  const std::uint32_t crc = crc32c(bytes);
  std::memcpy(bytes.data() + offsetof(DiskSuper, crc), &crc, sizeof crc);
  disk.poke(patch.file, slot, bytes);
}

void check_opened(Store& store) {
  const Watermarks& marks = store.facts().marks;
  CHECK(marks.trimmed <= marks.applied && marks.applied <= marks.durable);
  CHECK(marks.durable <= marks.written);
  CHECK(store.unknown().size() <= Store::unknown_max);
}

// Reads all; each answer is bytes with their own CRC, or an error.
void read_all(Store& store, MemDisk& disk) {
  static AlignedBuffer buffer(limits::block_bytes * 64);
  std::uint32_t crcs[64];
  for (std::uint64_t lba = 0; lba < blocks; lba += 64) {
    bool done = false;
    ReadOp op;
    op.lba = Lba(lba);
    op.blocks = BlockCount(64);
    op.into = buffer.span();
    op.crcs = crcs;
    op.owner = &done;
    op.done = [](ReadOp& finished) { *static_cast<bool*>(finished.owner) = true; };
    store.read(op);
    for (int turn = 0; turn < 1000 && !done; ++turn) {
      store.pump(Instant(1));
      disk.run_all();
    }
    CHECK(done);
    if (op.result != Errc::ok) continue;
    for (std::size_t i = 0; i < 64; ++i) {
      CHECK(crc32c_block(buffer.data() + i * limits::block_bytes) == crcs[i]);
    }
  }
}

bool open_and_close(MemDisk& disk, std::uint64_t start) {
  OpenOptions options;
  options.incarnation = test_incarnation;
  options.replica = test_replica;
  options.boot = {1, 1};
  options.process_start = ProcessStart(start);
  TestSink sink;
  auto opened = Store::open_blocking(disk, options, sink);
  if (!opened) return false;
  Store& store = **opened;
  check_opened(store);
  if (store.facts().size == BlockCount(blocks)) read_all(store, disk);
  store.quiesce();
  for (int turn = 0; turn < 1000 && !store.idle(); ++turn) {
    store.pump(Instant(2));
    disk.run_all();
  }
  CHECK(store.idle());
  return store.close_blocking(true).has_value();
}

}  // namespace

void run(Input input) {
  const std::unique_ptr<MemDisk> disk = sample().clone();
  Patch patch;
  for (std::size_t i = 0; i < patches_max && next_patch(input, patch); ++i) apply(*disk, patch);
  if (!open_and_close(*disk, 100)) return;
  CHECK(open_and_close(*disk, 101));
}

void mend(std::span<std::byte>) {}  // each patch says whether it is mended

std::size_t seed(std::size_t n, std::span<std::byte> into) {
  if (n >= 2 * files().size()) return 0;
  const std::byte patch[] = {static_cast<std::byte>(n / 2), std::byte{0}, std::byte{8},
                             std::byte{0}, static_cast<std::byte>(n % 2), std::byte{0},
                             std::byte{1}};
  std::memcpy(into.data(), patch, sizeof patch);
  return sizeof patch;
}

}  // namespace seawall::fuzz
