#include "engine/base/emergency.h"

#include <unistd.h>

#include <array>
#include <cstddef>

namespace seawall {

namespace {

class Line {
 public:
  void put(char c) {
    if (size_ < text_.size()) text_[size_++] = c;
  }
  void put(const char* text) {
    while (*text != '\0') put(*text++);
  }
  void put_number(int value) {
    std::array<char, 12> digits{};
    std::size_t count = 0;
    unsigned rest = value < 0 ? 0U : static_cast<unsigned>(value);
    do {
      digits[count++] = static_cast<char>('0' + rest % 10);
      rest /= 10;
    } while (rest != 0);
    while (count > 0) put(digits[--count]);
  }
  void write_out() {
    if (size_ == text_.size()) text_[size_ - 1] = '\n';
    const auto written = ::write(2, text_.data(), size_);
    static_cast<void>(written);
  }

 private:
  std::array<char, 1024> text_{};
  std::size_t size_ = 0;
};

}  // namespace

void emergency_line(const char* title, const char* what, const char* detail, const char* file,
                    int line) {
  Line out;
  out.put(title);
  out.put(what);
  if (*detail != '\0') {
    out.put(" (");
    out.put(detail);
    out.put(")");
  }
  out.put(" at ");
  out.put(file);
  out.put(":");
  out.put_number(line);
  out.put('\n');
  out.write_out();
}

}  // namespace seawall
