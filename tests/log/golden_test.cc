// Disks of older versions: an image that a released writer left must open for ever, and a version
// that is not known is refused by its number, structure by structure, with nothing touched.
//
// An image is text: a line a page that is not zero, `FILE OFFSET stamp N` where the page is a block
// of a client, else `FILE OFFSET` and its words that are not zero. SEAWALL_REWRITE=1 writes one
// that is missing; one that is there is never written again.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <iomanip>
#include <sstream>
#include <string>

#include "tests/log/rig.h"
#include "wal/format.h"

namespace seawall::wal {
namespace {

constexpr std::uint64_t image_blocks = 64;

// What the image holds: records folded into the base, records of two terms in the log only, a
// discard, zeroes, a promise, a floor that was reached, a large record, a clean end.
void write_history(Rig& rig) {
  ASSERT_TRUE(rig.open().has_value());
  ASSERT_TRUE(rig.start_term());
  for (std::uint64_t lba = 0; lba < 20; lba += 2) ASSERT_TRUE(rig.write(lba, 2));
  SuperUpdate update;
  update.promised = Epoch(2);
  update.seen_epoch = Epoch(2);
  update.seen_revision = Revision(9);
  update.intact = true;
  rig.store->write_super(update, 1);
  rig.flush();
  rig.settle_stable();
  rig.store->request_checkpoint();
  rig.run();
  ASSERT_TRUE(rig.discard(4, 3));
  ASSERT_TRUE(rig.append(rig.make(RecordKind::write_zeroes, 8, 2)));
  ASSERT_TRUE(rig.start_term());
  ASSERT_TRUE(rig.write(9, 3));
  ASSERT_TRUE(rig.write(40, 1));
  rig.flush();
  rig.close();
}

std::vector<std::string> files_of() {
  std::vector<std::string> names = {"super", "map", "base"};
  for (int i = 0; i < 16; ++i) names.push_back("log/" + std::to_string(i));
  return names;
}

std::string dump(const Rig& rig) {
  std::map<std::vector<std::byte>, Stamp> blocks;
  for (std::uint64_t lsn = 1; lsn <= rig.last().value(); ++lsn) {
    for (std::uint64_t i = 0; i < rig.header(Lsn(lsn)).blocks.value(); ++i) {
      std::vector<std::byte> block(4096);
      const Stamp stamp = lsn * 1000 + i + 1;
      fill_block(block.data(), stamp);
      blocks[block] = stamp;
    }
  }
  std::ostringstream out;
  for (const std::string& name : files_of()) {
    out << "file " << name << " " << rig.disk->file_size(name) << "\n";
    for (const std::uint64_t page : rig.disk->used_pages(name)) {
      const std::vector<std::byte> bytes = rig.disk->peek(name, page * 4096, 4096);
      if (const auto found = blocks.find(bytes); found != blocks.end()) {
        out << name << " " << page * 4096 << " stamp " << found->second << "\n";
        continue;
      }
      std::ostringstream words;
      for (std::size_t at = 0; at < 4096; at += 8) {
        std::uint64_t word = 0;
        std::memcpy(&word, bytes.data() + at, 8);
        if (word != 0) words << " " << at << "=" << std::hex << word << std::dec;
      }
      if (!words.str().empty()) out << name << " " << page * 4096 << words.str() << "\n";
    }
  }
  return out.str();
}

void put_page(MemDisk& disk, std::istringstream& words, const std::string& name) {
  std::uint64_t offset = 0;
  words >> offset;
  std::vector<std::byte> page(4096);
  for (std::string word; words >> word;) {
    if (word == "stamp") {
      Stamp stamp = 0;
      words >> stamp;
      fill_block(page.data(), stamp);
      continue;
    }
    const std::size_t equals = word.find('=');
    const std::uint64_t value = std::stoull(word.substr(equals + 1), nullptr, 16);
    std::memcpy(page.data() + std::stoull(word.substr(0, equals)), &value, 8);
  }
  disk.poke(name, offset, page);
}

std::unique_ptr<MemDisk> load(const std::string& path) {
  auto disk = std::make_unique<MemDisk>();
  EXPECT_TRUE(disk->make_directory("log").has_value());
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string name;
    words >> name;
    if (name != "file") {
      put_page(*disk, words, name);
      continue;
    }
    std::uint64_t size = 0;
    words >> name >> size;
    auto made = disk->create(name, size);
    EXPECT_TRUE(made.has_value()) << name;
    if (made) disk->close(*made);
  }
  return disk;
}

std::string image_path(int version) {
  return std::string("tests/log/golden/format_") + std::to_string(version) + ".txt";
}

TEST(WalGolden, F25_the_image_of_every_format_opens_and_holds_what_was_written) {
  for (int version = 1; version <= format_version; ++version) {
    SCOPED_TRACE(version);
    Rig rig(image_blocks);
    write_history(rig);
    if (HasFatalFailure()) return;
    const Lsn end = rig.last();
    const std::string path = image_path(version);
    if (std::getenv("SEAWALL_REWRITE") != nullptr && !std::ifstream(path).good()) {
      std::ofstream(path) << dump(rig);
    }
    ASSERT_TRUE(std::ifstream(path).good()) << "no image of format " << version;
    rig.disk = load(path);
    ASSERT_TRUE(rig.open().has_value());
    const ReplicaFacts& facts = rig.store->facts();
    EXPECT_EQ(facts.marks.written, end);
    EXPECT_EQ(facts.marks.durable, end);
    EXPECT_EQ(facts.chain, rig.header(end).chain);
    EXPECT_EQ(facts.last_term, Term(3));
    EXPECT_GE(facts.marks.applied, Lsn(11));
    EXPECT_EQ(facts.promised, Epoch(2));
    EXPECT_EQ(facts.seen_revision, Revision(9));
    EXPECT_EQ(facts.damage, Damage::none);
    EXPECT_TRUE(facts.intact);
    rig.expect_content(end);
    // It is not only read: the log goes on, is folded, and opens again.
    for (std::uint64_t lba = 0; lba < 40; ++lba) ASSERT_TRUE(rig.write(lba, 1));
    rig.flush();
    rig.settle_stable();
    rig.store->request_checkpoint();
    rig.run();
    rig.close();
    ASSERT_TRUE(rig.open().has_value());
    rig.expect_content(rig.last());
  }
}

// The version of a structure is a 16-bit word; the CRC over the structure is made good again, so
// that nothing but the number speaks against it.
TEST(WalGolden, F25_versions_before_and_behind_are_refused_by_their_number) {
  for (const std::uint16_t version : {std::uint16_t{0}, std::uint16_t{format_version + 1}}) {
    Rig rig(image_blocks);
    write_history(rig);
    if (HasFatalFailure()) return;
    for (std::uint64_t slot = 0; slot < 2; ++slot) {
      std::vector<std::byte> bytes = rig.disk->peek("super", slot * super_slot_bytes,
                                                    super_slot_bytes);
      DiskSuper super;
      std::memcpy(&super, bytes.data(), sizeof super);
      super.version = version;
      super.crc = 0;
      std::memcpy(bytes.data(), &super, sizeof super);
      super.crc = crc32c(bytes);
      std::memcpy(bytes.data(), &super, sizeof super);
      rig.disk->poke("super", slot * super_slot_bytes, bytes);
    }
    const std::uint64_t before = rig.disk->content_hash();
    const Status opened = rig.open();
    ASSERT_FALSE(opened.has_value()) << version;
    EXPECT_EQ(opened.error().code, Errc::unknown_version);
    EXPECT_EQ(opened.error().a, version) << "it is not named";
    EXPECT_EQ(rig.disk->content_hash(), before);
  }
}

}  // namespace
}  // namespace seawall::wal
