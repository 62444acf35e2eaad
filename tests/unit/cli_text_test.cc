#include <gtest/gtest.h>

#include "cli/json_text.h"
#include "cli/suggest.h"
#include "cli/table.h"

namespace seawall::cli {
namespace {

TEST(CliTable, columns_align_and_lines_end_without_spaces) {
  Table table({"NAME", "N", "WHY"});
  table.align_right(1);
  table.add({"a", "7", ""});
  table.add({"longer", "1234", "x"});
  EXPECT_EQ(table.text(),
            "NAME       N  WHY\n"
            "a          7\n"
            "longer  1234  x\n");
}

TEST(CliTable, colours_change_no_width_and_are_absent_unless_wanted) {
  Table plain({"A", "B"});
  plain.add({"red", "1"});
  plain.tint(0, Colour::red);
  EXPECT_EQ(plain.text(), "A    B\nred  1\n");
  Table painted({"A", "B"}, true);
  painted.add({"red", "1"});
  painted.tint(0, Colour::red);
  EXPECT_NE(painted.text().find("\x1b[31mred\x1b[0m  1\n"), std::string::npos);
}

TEST(CliTable, width_counts_characters_not_bytes) {
  EXPECT_EQ(display_width("abc"), 3U);
  EXPECT_EQ(display_width("\xc3\xa4\xe2\x82\xac"), 2U);
}

TEST(CliProgress, the_bar_is_full_only_at_the_end) {
  EXPECT_EQ(progress_bar(0, 100, 10), "[..........]   0 %");
  EXPECT_EQ(progress_bar(999'999, 1'000'000, 10), "[#########.]  99 %");
  EXPECT_EQ(progress_bar(100, 100, 10), "[##########] 100 %");
  EXPECT_EQ(progress_bar(200, 100, 4), "[####] 100 %");
  EXPECT_EQ(progress_bar(0, 0, 4), "[####] 100 %");
}

TEST(CliSuggest, a_slip_of_the_fingers_finds_its_word) {
  const std::vector<std::string> known{"cluster", "volume", "attach", "detach", "node", "watch"};
  EXPECT_EQ(nearest_word("volum", known), "volume");
  EXPECT_EQ(nearest_word("vloume", known), "volume");
  EXPECT_EQ(nearest_word("watcg", known), "watch");
  EXPECT_EQ(nearest_word("frobnicate", known), std::nullopt);
  EXPECT_EQ(nearest_word("", known), std::nullopt);
}

TEST(CliSuggest, distance_counts_a_swap_once) {
  EXPECT_EQ(edit_distance("ab", "ba"), 1U);
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3U);
  EXPECT_EQ(edit_distance("", "abc"), 3U);
  EXPECT_EQ(edit_distance("same", "same"), 0U);
}

TEST(CliJson, text_is_indented_keeps_its_order_and_parses_back) {
  const boost::json::object object{{"b", 1},
                                   {"a", {1, "x\n\"y\""}},
                                   {"none", nullptr},
                                   {"empty", boost::json::array()},
                                   {"half", 1.5}};
  const std::string text = json_text(object);
  EXPECT_EQ(text,
            "{\n  \"b\": 1,\n  \"a\": [\n    1,\n    \"x\\n\\\"y\\\"\"\n  ],\n"
            "  \"none\": null,\n  \"empty\": [],\n  \"half\": 1.500\n}\n");
  EXPECT_EQ(boost::json::parse(text), boost::json::value(object));
}

}  // namespace
}  // namespace seawall::cli
