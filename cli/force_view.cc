#include "cli/force_view.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <ctime>

namespace seawall::cli {
namespace {

std::string time_text(std::uint64_t unix_ms) {
  return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}",
                     fmt::gmtime(static_cast<std::time_t>(unix_ms / 1000)));
}

template <class Names>
std::string node_list(const Names& names) {
  std::string out;
  for (const std::string& node : names) out += (out.empty() ? "" : ", ") + node;
  return out;
}

boost::json::value position_json(const std::string& text) {
  return text.empty() ? boost::json::value(nullptr) : boost::json::value(text);
}

}  // namespace

boost::json::object force_json(const v1::ForceInfo& force) {
  boost::json::array members;
  for (const std::string& node : force.nodes()) members.push_back(boost::json::value(node));
  boost::json::array left_out;
  for (const std::string& node : force.left_out()) left_out.push_back(boost::json::value(node));
  return {{"who", force.who()},
          {"why", force.why()},
          {"at", time_text(force.asked_ms())},
          {"at_ms", force.asked_ms()},
          {"old_primary_stopped", force.old_primary_stopped()},
          {"members", std::move(members)},
          {"left_out", std::move(left_out)},
          {"done", force.done()},
          {"epoch", force.epoch()},
          {"lost_after", position_json(force.kept())},
          {"known_upto", position_json(force.known())}};
}

std::string force_text(const v1::ForceInfo& force) {
  std::string out = fmt::format("  forced    by {} at {} to {}: {}{}\n", force.who(),
                                time_text(force.asked_ms()), node_list(force.nodes()), force.why(),
                                force.old_primary_stopped() ? " (old primary said to be stopped)"
                                                            : "");
  if (!force.done()) return out + "            not in effect yet\n";
  out += fmt::format("            epoch {}; what came after {} may be lost, known of were records "
                     "up to {}\n",
                     force.epoch(), force.kept(),
                     force.known().empty() ? "nobody knows where" : force.known());
  if (force.left_out().empty()) return out;
  return out +
         fmt::format("            left out with their files: {}\n", node_list(force.left_out()));
}

}  // namespace seawall::cli
