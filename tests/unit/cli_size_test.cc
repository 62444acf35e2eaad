#include "cli/size.h"

#include <gtest/gtest.h>

#include "cli/failure.h"

namespace seawall::cli {
namespace {

std::string refusal(const std::string& text) {
  try {
    parse_volume_size("--size", text);
  } catch (const Failure& failure) {
    EXPECT_EQ(failure.code(), ExitCode::usage);
    return failure.what();
  }
  return "";
}

TEST(CliSize, units_are_read_as_people_write_them) {
  EXPECT_EQ(parse_size("s", "1GiB"), 1ULL << 30U);
  EXPECT_EQ(parse_size("s", "512MiB"), 512ULL << 20U);
  EXPECT_EQ(parse_size("s", "4k"), 4096U);
  EXPECT_EQ(parse_size("s", "1M"), 1U << 20U);
  EXPECT_EQ(parse_size("s", "2G"), 2ULL << 30U);
  EXPECT_EQ(parse_size("s", "10MB"), 10'000'000U);
  EXPECT_EQ(parse_size("s", "4096"), 4096U);
  EXPECT_EQ(parse_size("s", "17B"), 17U);
  EXPECT_EQ(parse_size("s", "18446744073709551615"), UINT64_MAX);
}

TEST(CliSize, what_is_not_exactly_a_size_is_refused) {
  for (const char* text :
       {"", "GiB", "1.5GiB", "-1", "+1", " 1GiB", "1 GiB", "1GiB ", "1gib", "1XB", "0x10", "1e9",
        "18446744073709551616", "1GiBGiB", "one", "1PiB"}) {
    EXPECT_THROW(parse_size("--size", text), Failure) << text;
  }
}

TEST(CliSize, a_product_beyond_64_bits_is_refused_not_wrapped) {
  EXPECT_THROW(parse_size("--size", "16777216TiB"), Failure);
  EXPECT_EQ(parse_size("--size", "16777215TiB"), 16777215ULL << 40U);
}

TEST(CliSize, a_refusal_names_the_option_the_value_and_what_is_right) {
  EXPECT_EQ(refusal("4097"),
            "--size is \"4097\": a volume is a multiple of 4KiB; the next one is 8KiB");
  EXPECT_EQ(refusal("0"), "--size is \"0\": a volume has at least one block, 4KiB");
  EXPECT_EQ(refusal("65TiB"), "--size is \"65TiB\": a volume is at most 64TiB");
  EXPECT_EQ(refusal("64TiB"), "");
  EXPECT_EQ(refusal("4KiB"), "");
}

TEST(CliSize, durations_are_seconds_unless_they_say_otherwise) {
  EXPECT_EQ(parse_duration_ms("t", "10"), 10'000U);
  EXPECT_EQ(parse_duration_ms("t", "10s"), 10'000U);
  EXPECT_EQ(parse_duration_ms("t", "500ms"), 500U);
  EXPECT_EQ(parse_duration_ms("t", "2m"), 120'000U);
  for (const char* text : {"", "0", "1h", "-1", "1.5", "999999999m", "ms"}) {
    EXPECT_THROW(parse_duration_ms("t", text), Failure) << text;
  }
}

TEST(CliSize, human_sizes_round_and_change_their_unit_in_time) {
  EXPECT_EQ(human_size(0), "0 B");
  EXPECT_EQ(human_size(1023), "1023 B");
  EXPECT_EQ(human_size(1024), "1.0 KiB");
  EXPECT_EQ(human_size(1536ULL << 20U), "1.5 GiB");
  EXPECT_EQ(human_size((1ULL << 30U) - 1), "1.0 GiB");
  EXPECT_EQ(human_size(64ULL << 40U), "64 TiB");
}

TEST(CliSize, an_exact_size_reads_back_as_itself) {
  for (const std::uint64_t bytes :
       {0ULL, 1ULL, 4096ULL, 4097ULL, 1536ULL << 20U, 1ULL << 30U, 64ULL << 40U}) {
    EXPECT_EQ(parse_size("s", exact_size(bytes)), bytes);
  }
  EXPECT_EQ(exact_size(1536ULL << 20U), "1536MiB");
}

}  // namespace
}  // namespace seawall::cli
