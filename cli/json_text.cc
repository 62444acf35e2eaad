#include "cli/json_text.h"

namespace seawall::cli {
namespace {

// Depth is bounded by what this program builds: a few levels.
void write(const boost::json::value& value, std::size_t depth, std::string& out) {
  const std::string inner(2 * (depth + 1), ' ');
  const std::string outer(2 * depth, ' ');
  if (const auto* object = value.if_object(); object != nullptr && !object->empty()) {
    out += "{\n";
    bool first = true;
    for (const auto& member : *object) {
      if (!first) out += ",\n";
      first = false;
      out += inner + boost::json::serialize(boost::json::string(member.key())) + ": ";
      write(member.value(), depth + 1, out);
    }
    out += "\n" + outer + "}";
  } else if (const auto* array = value.if_array(); array != nullptr && !array->empty()) {
    out += "[\n";
    bool first = true;
    for (const auto& element : *array) {
      if (!first) out += ",\n";
      first = false;
      out += inner;
      write(element, depth + 1, out);
    }
    out += "\n" + outer + "]";
  } else if (const auto* number = value.if_double(); number != nullptr) {
    // Boost.JSON writes 1.5E0; a plain decimal reads better and is JSON as well.
    char text[64];
    std::snprintf(text, sizeof text, "%.3f", *number);
    out += text;
  } else {
    out += boost::json::serialize(value);
  }
}

}  // namespace

std::string json_text(const boost::json::value& value) {
  std::string out;
  write(value, 0, out);
  out += '\n';
  return out;
}

}  // namespace seawall::cli
