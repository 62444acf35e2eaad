// Text for people: tables, colours, progress bars.
//
// Thread: any; no state outside the object. Widths count characters of UTF-8 text, one column each.
#pragma once

#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

namespace seawall::cli {

enum class Colour { none, green, yellow, red, dim, bold };

// True when `stream` is a terminal that shows colours (and NO_COLOR is not set).
bool wants_colour(std::FILE* stream);

std::string paint(std::string_view text, Colour colour, bool enabled);

// Left-aligned columns, two spaces between, no trailing spaces. The first row is the head.
class Table {
 public:
  explicit Table(std::vector<std::string> head, bool colours = false);
  void add(std::vector<std::string> row);
  // Colours one cell of the row added last.
  void tint(std::size_t column, Colour colour);
  void align_right(std::size_t column);
  [[nodiscard]] std::string text() const;

 private:
  struct Row {
    std::vector<std::string> cells;
    std::vector<Colour> colours;
  };
  std::vector<Row> rows_;
  std::vector<bool> right_;
  bool colours_;
};

// [######......] 50 %; `width` is that of the bar between the brackets.
std::string progress_bar(std::uint64_t done, std::uint64_t total, std::size_t width);

std::size_t display_width(std::string_view utf8);

}  // namespace seawall::cli
