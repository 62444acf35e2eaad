#include "cli/table.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "engine/base/check.h"

namespace seawall::cli {

bool wants_colour(std::FILE* stream) {
  if (std::getenv("NO_COLOR") != nullptr) return false;
  const char* const terminal = std::getenv("TERM");
  if (terminal == nullptr || std::string_view(terminal) == "dumb") return false;
  return ::isatty(::fileno(stream)) == 1;
}

std::string paint(std::string_view text, Colour colour, bool enabled) {
  if (!enabled || colour == Colour::none) return std::string(text);
  int code = 0;
  switch (colour) {
    case Colour::none: break;
    case Colour::green: code = 32; break;
    case Colour::yellow: code = 33; break;
    case Colour::red: code = 31; break;
    case Colour::dim: code = 2; break;
    case Colour::bold: code = 1; break;
  }
  return fmt::format("\x1b[{}m{}\x1b[0m", code, text);
}

std::size_t display_width(std::string_view utf8) {
  return static_cast<std::size_t>(std::count_if(utf8.begin(), utf8.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U;  // not a continuation byte
  }));
}

Table::Table(std::vector<std::string> head, bool colours)
    : right_(head.size(), false), colours_(colours) {
  CHECK(!head.empty());
  std::vector<Colour> bold(head.size(), Colour::bold);
  rows_.push_back(Row{std::move(head), std::move(bold)});
}

void Table::add(std::vector<std::string> row) {
  CHECK(row.size() == right_.size());
  std::vector<Colour> plain(row.size(), Colour::none);
  rows_.push_back(Row{std::move(row), std::move(plain)});
}

void Table::tint(std::size_t column, Colour colour) {
  CHECK(rows_.size() > 1 && column < right_.size());
  rows_.back().colours[column] = colour;
}

void Table::align_right(std::size_t column) {
  CHECK(column < right_.size());
  right_[column] = true;
}

std::string Table::text() const {
  std::vector<std::size_t> widths(right_.size(), 0);
  for (const Row& row : rows_) {
    for (std::size_t i = 0; i < row.cells.size(); ++i) {
      widths[i] = std::max(widths[i], display_width(row.cells[i]));
    }
  }
  std::string out;
  for (const Row& row : rows_) {
    std::size_t pending = 0;  // spaces that are due only if another cell follows
    for (std::size_t i = 0; i < row.cells.size(); ++i) {
      const std::string& cell = row.cells[i];
      const std::size_t padding = widths[i] - display_width(cell);
      if (right_[i]) pending += padding;
      if (!cell.empty()) {
        out.append(pending, ' ');
        out += paint(cell, row.colours[i], colours_);
        pending = 0;
      }
      if (!right_[i]) pending += padding;
      pending += 2;
    }
    out += '\n';
  }
  return out;
}

std::string progress_bar(std::uint64_t done, std::uint64_t total, std::size_t width) {
  done = std::min(done, total);
  // Never a full bar, and never 100 %, before the end.
  const double share = total == 0 ? 1.0 : static_cast<double>(done) / static_cast<double>(total);
  const auto filled = static_cast<std::size_t>(share * static_cast<double>(width));
  const auto percent = static_cast<unsigned>(share * 100);
  return fmt::format("[{}{}] {:>3} %", std::string(filled, '#'), std::string(width - filled, '.'),
                     percent);
}

}  // namespace seawall::cli
