// The worked example of wal/README.md, byte for byte: who changes the format changes the page.
#include <gtest/gtest.h>

#include <cstdio>
#include <fstream>
#include <sstream>
#include <string>

#include "tests/log/rig.h"
#include "wal/format.h"

namespace seawall::wal {
namespace {

constexpr const char* page = "wal/README.md";
constexpr const char* begin_mark = "```hex\n";

// Lines of 16 bytes that are not all zero: file, offset, bytes.
std::string hex_lines(const MemDisk& disk, const std::string& name, std::uint64_t size) {
  std::string lines;
  const std::vector<std::byte> bytes = disk.peek(name, 0, size);
  for (std::size_t at = 0; at < bytes.size(); at += 16) {
    std::string line;
    bool empty = true;
    for (std::size_t i = 0; i < 16; ++i) {
      char text[8];
      std::snprintf(text, sizeof text, "%s%02x", i % 8 == 0 ? "  " : " ",
                    static_cast<unsigned>(bytes[at + i]));
      line += text;
      empty = empty && bytes[at + i] == std::byte{0};
    }
    if (empty) continue;
    char head[32];
    std::snprintf(head, sizeof head, "%s %04zx", name.c_str(), at);
    lines += head + line + "\n";
  }
  return lines;
}

TEST(WalExample, the_bytes_of_the_worked_example_are_those_of_the_page) {
  Rig rig;
  ASSERT_TRUE(rig.open().has_value());
  ASSERT_TRUE(rig.start_term());
  ASSERT_TRUE(rig.write(10, 2));
  ASSERT_TRUE(rig.discard(40, 8));
  rig.run();
  // Segment header and batch header; the payload is the client's.
  const std::string found = hex_lines(*rig.disk, "log/0", 2 * block_bytes);

  std::ifstream file(page);
  ASSERT_TRUE(file.good()) << page;
  std::stringstream text;
  text << file.rdbuf();
  const std::string all = text.str();
  const std::size_t begin = all.find(begin_mark);
  ASSERT_NE(begin, std::string::npos) << page << " has no block of hexadecimal bytes; it would be\n"
                                      << found;
  const std::size_t from = begin + std::string(begin_mark).size();
  EXPECT_EQ(all.substr(from, all.find("```", from) - from), found);
}

}  // namespace
}  // namespace seawall::wal
