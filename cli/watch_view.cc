#include "cli/watch_view.h"

#include <fmt/format.h>

#include <algorithm>

#include "cli/size.h"
#include "cli/views.h"

namespace seawall::cli {
namespace {

// Cuts to `width` columns; escape sequences count nothing and are never cut.
std::string clip(const std::string& line, std::size_t width) {
  std::string out;
  std::size_t columns = 0;
  bool painted = false;
  for (std::size_t i = 0; i < line.size();) {
    if (line[i] == '\x1b') {
      const std::size_t end = line.find('m', i);
      if (end == std::string::npos) break;
      out += line.substr(i, end - i + 1);
      painted = true;
      i = end + 1;
      continue;
    }
    if ((static_cast<unsigned char>(line[i]) & 0xC0U) != 0x80U && ++columns > width) break;
    out += line[i++];
  }
  return painted ? out + "\x1b[0m" : out;
}

std::string clip_all(const std::string& text, std::size_t width) {
  std::string out;
  std::size_t begin = 0;
  while (begin < text.size()) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    out += clip(text.substr(begin, end - begin), width) + '\n';
    begin = end + 1;
  }
  return out;
}

std::string volume_block(const pb::Volume& v, bool colours) {
  std::string out = fmt::format(
      "{}  {}  {}  {}  epoch {}  {} of {} copies{}\n", paint(v.name(), Colour::bold, colours),
      paint(v.health(), colour_of_health(v.health()), colours), human_size(v.size_bytes()),
      policy_name(v), v.epoch(), v.eligible(), member_count(v),
      v.reason().empty() ? "" : "  " + paint(v.reason(), Colour::dim, colours));
  if (v.has_change()) out += "  " + change_text(v);
  Table table({"  NODE", "ROLE", "WRITTEN", "DURABLE", "STATE"}, colours);
  table.align_right(2);
  table.align_right(3);
  for (const pb::ReplicaView& r : v.replicas()) {
    table.add({"  " + r.node(), r.role(), r.has_written() ? fmt::format("{}", r.written()) : "-",
               r.has_durable() ? fmt::format("{}", r.durable()) : "-", replica_activity(r, 24)});
    table.tint(4, colour_of_replica(r.state()));
  }
  return out + table.text() + "\n";
}

}  // namespace

std::string watch_screen(const pb::Cluster& cluster, std::size_t width, bool colours) {
  std::string out;
  for (const pb::Volume& volume : cluster.volumes()) out += volume_block(volume, colours);
  if (cluster.volumes().empty()) out += "there are no volumes\n\n";
  out += "nodes";
  for (const pb::Node& node : cluster.nodes()) {
    const Colour colour = node.state() == "alive" ? Colour::green : Colour::red;
    out += fmt::format("  {} {}", node.name(), paint(node.state(), colour, colours));
  }
  return clip_all(out + "\n", width);
}

std::string watch_lines(const pb::Cluster& cluster) {
  std::string out;
  for (const pb::Volume& v : cluster.volumes()) {
    out += fmt::format("{} {} epoch {} primary {}", v.name(), v.health(), v.epoch(),
                       v.primary_node().empty() ? "none" : v.primary_node());
    if (v.has_change()) out += " | changing: " + v.change().waiting();
    for (const pb::ReplicaView& r : v.replicas()) {
      out += fmt::format(" | {} {}", r.node(), replica_activity(r, 16));
    }
    out += '\n';
  }
  for (const pb::Node& node : cluster.nodes()) {
    if (node.state() != "alive") out += fmt::format("node {} {}\n", node.name(), node.state());
  }
  return out;
}

}  // namespace seawall::cli
