#include "sim/checkers/equal_replicas.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include "engine/base/limits.h"
#include "wal/store.h"

namespace seawall::sim {
namespace {

constexpr std::uint64_t chunk_blocks = 16;

struct Quiet final : wal::Sink {
  void on_written(Lsn) override {}
  void on_durable(Lsn) override {}
  void on_failed(Error error) override { failed = error.what; }
  void on_super_written(std::uint64_t) override {}
  void on_checkpointed(Lsn, Lsn) override {}
  void on_trim(Lsn, Lsn) override {}
  void on_log_space(std::uint8_t) override {}
  const char* failed = nullptr;
};

struct AlignedBlocks {
  explicit AlignedBlocks(std::uint64_t blocks)
      : raw(blocks * limits::block_bytes + limits::block_bytes) {
    const auto address = reinterpret_cast<std::uintptr_t>(raw.data());
    const std::size_t skip =
        (limits::block_bytes - address % limits::block_bytes) % limits::block_bytes;
    bytes = std::span(raw).subspan(skip, blocks * limits::block_bytes);
  }
  std::vector<std::byte> raw;
  std::span<std::byte> bytes;
};

struct Image {
  ReplicaFacts facts;
  std::vector<std::byte> content;
  std::vector<bool> unreadable;  // by block; only on a disk with rot
  std::string problem;
};

// ok, the error of the read, or cancelled when it never ended.
Errc read_chunk(wal::Store& store, wal::MemDisk& disk, std::uint64_t lba, std::uint64_t blocks,
                AlignedBlocks& buffer, std::vector<std::byte>& content) {
  std::vector<std::uint32_t> crcs(blocks);
  bool done = false;
  wal::ReadOp op;
  op.lba = Lba{lba};
  op.blocks = BlockCount{blocks};
  op.into = buffer.bytes.first(blocks * limits::block_bytes);
  op.crcs = crcs;
  op.owner = &done;
  op.done = [](wal::ReadOp& o) { *static_cast<bool*>(o.owner) = true; };
  store.read(op);
  for (int turn = 0; turn < 1000 && !done; ++turn) {
    store.pump(Instant{0});
    disk.run_all();
  }
  if (!done) return Errc::cancelled;
  if (op.result == Errc::ok) {
    std::memcpy(content.data() + lba * limits::block_bytes, op.into.data(), op.into.size());
  }
  return op.result;
}

std::string read_all(wal::Store& store, wal::MemDisk& disk, BlockCount size, bool rotten,
                     Image& image) {
  image.content.resize(size.value() * limits::block_bytes);
  image.unreadable.resize(size.value());
  AlignedBlocks buffer(chunk_blocks);
  std::uint64_t blocks = 0;
  for (std::uint64_t lba = 0; lba < size.value(); lba += blocks) {
    blocks = std::min(chunk_blocks, size.value() - lba);
    Errc result = read_chunk(store, disk, lba, blocks, buffer, image.content);
    if (result != Errc::ok && rotten) {  // block by block: one bad one hides no other
      blocks = 1;
      result = read_chunk(store, disk, lba, blocks, buffer, image.content);
      if (result == Errc::corrupt || result == Errc::io_error) {
        image.unreadable[lba] = true;
        continue;
      }
    }
    if (result != Errc::ok) {
      return "block " + std::to_string(lba) + " cannot be read: " + errc_name(result);
    }
  }
  return {};
}

Image image_of(const ReplicaDisk& replica, BlockCount size, bool without_power) {
  Image image;
  const std::unique_ptr<wal::MemDisk> copy = replica.disk->clone();
  if (without_power) copy->power_loss_all_lost();
  Quiet sink;
  wal::OpenOptions options;
  options.incarnation = replica.incarnation;
  options.replica = replica.replica;
  options.boot.hi = 0x5ea3a11;
  options.boot.lo = 0xc0;
  options.process_start = ProcessStart{0x5ea3a11};
  auto store = wal::Store::open_blocking(*copy, options, sink);
  if (!store.has_value()) {
    image.problem = std::string("does not open: ") + store.error().what;
    return image;
  }
  image.facts = (*store)->facts();
  if (image.facts.marker.has_value()) {
    image.problem = "has a rebuild under way";
  } else if (image.facts.damage != Damage::none) {
    image.problem = "reports damage " + std::to_string(static_cast<int>(image.facts.damage));
  } else {
    image.problem = read_all(**store, *copy, size, replica.rotten, image);
  }
  return image;
}

std::string name(const ReplicaDisk& disk) {
  return "replica " + std::to_string(disk.replica.value());
}

}  // namespace

std::string compare_replicas(std::span<const ReplicaDisk> disks, BlockCount size,
                             bool without_power) {
  std::vector<Image> images;
  std::vector<std::string> names;
  // A disk with rot may say so, and then it is no copy to compare.
  for (const ReplicaDisk& disk : disks) {
    Image image = image_of(disk, size, without_power);
    if (!image.problem.empty() && disk.rotten) continue;
    if (!image.problem.empty()) return name(disk) + " " + image.problem;
    images.push_back(std::move(image));
    names.push_back(name(disk));
  }
  for (std::size_t i = 1; i < images.size(); ++i) {
    const Image& a = images[0];
    const Image& b = images[i];
    const std::string both = names[0] + " and " + names[i];
    if (!without_power && a.facts.marks.written != b.facts.marks.written) {
      return both + " end at lsn " + std::to_string(a.facts.marks.written.value()) + " and " +
             std::to_string(b.facts.marks.written.value());
    }
    if (a.facts.marks.written == b.facts.marks.written &&
        (a.facts.chain != b.facts.chain || a.facts.last_term != b.facts.last_term)) {
      return both + " have different chains at lsn " +
             std::to_string(a.facts.marks.written.value());
    }
    if (std::memcmp(a.content.data(), b.content.data(), a.content.size()) == 0) continue;
    for (std::uint64_t lba = 0; lba < size.value(); ++lba) {
      const std::size_t at = lba * limits::block_bytes;
      if (a.unreadable[lba] || b.unreadable[lba]) continue;
      if (std::memcmp(a.content.data() + at, b.content.data() + at, limits::block_bytes) != 0) {
        return both + " differ in block " + std::to_string(lba);
      }
    }
  }
  return {};
}

}  // namespace seawall::sim
