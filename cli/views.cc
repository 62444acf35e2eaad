#include "cli/views.h"

#include <fmt/format.h>

#include <optional>

#include "cli/force_view.h"
#include "cli/size.h"

namespace seawall::cli {
namespace {

boost::json::value number_or_null(bool known, std::uint64_t value) {
  return known ? boost::json::value(value) : boost::json::value(nullptr);
}

boost::json::value text_or_null(const std::string& text) {
  return text.empty() ? boost::json::value(nullptr) : boost::json::value(text);
}

std::string text_or_dash(bool known, std::uint64_t value) {
  return known ? fmt::format("{}", value) : "-";
}

boost::json::array failures_json(const pb::ReplicaView& r) {
  boost::json::array failures;
  for (const pb::FailureView& failure : r.failures()) {
    failures.push_back(boost::json::object{
        {"kind", failure.kind()},
        {"action", failure.action()},
        {"nth", failure.nth()},
        {"ago_ms", number_or_null(failure.has_ago_ms(), failure.ago_ms())}});
  }
  return failures;
}

// One line a replica that has a history of failures.
std::string failures_text(const pb::Volume& v) {
  std::string out;
  for (const pb::ReplicaView& r : v.replicas()) {
    if (r.failures().empty()) continue;
    std::string line;
    for (const pb::FailureView& failure : r.failures()) {
      line += fmt::format("{}{} #{} {}", line.empty() ? "" : ", ", failure.kind(), failure.nth(),
                          failure.action());
    }
    out += fmt::format("  failures  {}: {}\n", r.node(), line);
  }
  return out;
}

boost::json::object replica_json(const pb::ReplicaView& r) {
  return {{"id", r.id()},
          {"node", r.node()},
          {"node_id", r.node_id()},
          {"address", r.address()},
          {"endpoint_version", r.endpoint_version()},
          {"role", r.role()},
          {"state", r.state()},
          {"reason", text_or_null(r.reason())},
          {"member", r.member()},
          {"in_sync_member", r.in_sync_member()},
          {"joining", r.joining()},
          {"leaving", r.leaving()},
          {"promised", r.promised()},
          {"epoch", r.epoch()},
          {"written", number_or_null(r.has_written(), r.written())},
          {"durable", number_or_null(r.has_durable(), r.durable())},
          {"committed", number_or_null(r.has_committed(), r.committed())},
          {"stable", number_or_null(r.has_stable(), r.stable())},
          {"applied", number_or_null(r.has_applied(), r.applied())},
          {"trimmed", number_or_null(r.has_trimmed(), r.trimmed())},
          {"session_kind", r.session_kind().empty() ? "none" : r.session_kind()},
          {"session_phase", r.session_phase().empty() ? "none" : r.session_phase()},
          {"session_epoch", r.session_epoch()},
          {"session_counter", r.session_counter()},
          {"bytes_total", r.bytes_total()},
          {"bytes_left", r.bytes_left()},
          {"lag", number_or_null(r.has_lag(), r.lag())},
          {"escalated", r.escalated()},
          {"failures", failures_json(r)}};
}

std::string policy_name(const std::string& policy, std::uint32_t least, std::uint32_t replicas) {
  if (policy != "in-sync") return policy;
  if (least == replicas) return "all";
  if (least + 1 == replicas) return "in-sync";  // its default; with 2 also best-effort
  if (least == 1) return "best-effort";
  return fmt::format("in-sync (at least {})", least);
}

boost::json::value change_json(const pb::Volume& v) {
  if (!v.has_change()) return nullptr;
  const pb::ChangeView& change = v.change();
  return boost::json::object{{"replicas", change.replicas()},
                             {"policy", change.policy()},
                             {"min_in_sync", change.min_in_sync()},
                             {"write_cache", change.write_cache()},
                             {"waiting", change.waiting()}};
}

boost::json::object configuration_json(const pb::Volume& v) {
  boost::json::array members;
  boost::json::array in_sync;
  for (const pb::ReplicaView& replica : v.replicas()) {
    if (replica.member()) members.push_back(boost::json::value(replica.id()));
    if (replica.in_sync_member()) in_sync.push_back(boost::json::value(replica.id()));
  }
  return {{"policy", v.policy()},
          {"min_in_sync", v.min_in_sync()},
          {"write_cache", v.write_cache()},
          {"members", std::move(members)},
          {"in_sync", std::move(in_sync)}};
}

std::string attached_at(const pb::Volume& v) {
  std::string out;
  for (const pb::AttachmentInfo& attachment : v.attachments()) {
    if (!out.empty()) out += ", ";
    out += attachment.node().empty() ? fmt::format("node {:x}", attachment.node_id())
                                     : attachment.node();
  }
  return out.empty() ? "-" : out;
}

Table replica_table(const pb::Volume& volume, bool colours) {
  Table table({"REPLICA", "NODE", "ROLE", "STATE", "WRITTEN", "DURABLE", "COMMITTED", "STABLE",
               "APPLIED", "TRIMMED", "ADDRESS"},
              colours);
  for (std::size_t column = 4; column <= 9; ++column) table.align_right(column);
  for (const pb::ReplicaView& r : volume.replicas()) {
    table.add({fmt::format("{}", r.id()), r.node(), r.role(), replica_activity(r, 12),
               text_or_dash(r.has_written(), r.written()),
               text_or_dash(r.has_durable(), r.durable()),
               text_or_dash(r.has_committed(), r.committed()),
               text_or_dash(r.has_stable(), r.stable()), text_or_dash(r.has_applied(), r.applied()),
               text_or_dash(r.has_trimmed(), r.trimmed()), r.address()});
    table.tint(3, colour_of_replica(r.state()));
  }
  return table;
}

}  // namespace

boost::json::object volume_json(const pb::Volume& v) {
  boost::json::array replicas;
  for (const pb::ReplicaView& replica : v.replicas()) replicas.push_back(replica_json(replica));
  boost::json::array attachments;
  for (const pb::AttachmentInfo& a : v.attachments()) {
    attachments.push_back(boost::json::object{
        {"generation", a.generation()}, {"node", a.node()}, {"node_id", a.node_id()}});
  }
  return {{"name", v.name()},
          {"id", v.id()},
          {"incarnation", v.incarnation()},
          {"state", v.state()},
          {"health", v.health()},
          {"reason", text_or_null(v.reason())},
          {"size_bytes", v.size_bytes()},
          {"log_bytes", v.log_bytes()},
          {"io_timeout_ms", v.io_timeout_ms()},
          {"epoch", v.epoch()},
          {"pending_epoch", number_or_null(v.pending_epoch() != 0, v.pending_epoch())},
          {"revision", v.revision()},
          {"primary", text_or_null(v.primary_node())},
          {"primary_replica", number_or_null(v.primary() != 0, v.primary())},
          {"serving", v.serving()},
          {"after_power_loss", v.after_power_loss()},
          {"moving_to", number_or_null(v.moving_to() != 0, v.moving_to())},
          {"forced", v.has_force() ? boost::json::value(force_json(v.force()))
                                   : boost::json::value(nullptr)},
          {"configuration", configuration_json(v)},
          {"required", v.required()},
          {"eligible", v.eligible()},
          {"change", change_json(v)},
          {"attachments", std::move(attachments)},
          {"replicas", std::move(replicas)}};
}

boost::json::object node_json(const pb::Node& n) {
  return {{"id", fmt::format("{:016x}", n.id())},
          {"name", n.name()},
          {"state", n.state()},
          {"data_address", n.data_address()},
          {"http_address", text_or_null(n.http_address())},
          {"pool_id", n.pool_id()},
          {"pool_bytes", n.pool_bytes()},
          {"pool_free_bytes", n.pool_free_bytes()},
          {"replicas", n.replicas()},
          {"primaries", n.primaries()},
          {"heard_ms_ago", number_or_null(n.has_heard_ms_ago(), n.heard_ms_ago())}};
}

std::string volumes_table(const std::vector<pb::Volume>& volumes, bool colours) {
  Table table({"NAME", "HEALTH", "SIZE", "POLICY", "CACHE", "EPOCH", "PRIMARY", "COPIES",
               "ATTACHED", "REASON"},
              colours);
  table.align_right(2);
  table.align_right(5);
  for (const pb::Volume& v : volumes) {
    const std::string health = v.state() == "ready" ? v.health() : v.state();
    table.add({v.name(), health, human_size(v.size_bytes()), policy_name(v), v.write_cache(),
               fmt::format("{}", v.epoch()), v.primary_node().empty() ? "-" : v.primary_node(),
               fmt::format("{}/{}", v.eligible(), member_count(v)), attached_at(v), v.reason()});
    table.tint(1, colour_of_health(health));
  }
  return table.text();
}

std::string volume_text(const pb::Volume& v, bool colours) {
  std::string out = fmt::format("{}  {}{}\n", paint(v.name(), Colour::bold, colours),
                                paint(v.health(), colour_of_health(v.health()), colours),
                                v.reason().empty() ? "" : ": " + v.reason());
  out += fmt::format("  size      {} ({} bytes), log {} a replica\n", human_size(v.size_bytes()),
                     v.size_bytes(), human_size(v.log_bytes()));
  out +=
      fmt::format("  policy    {}, write cache {}: {} of {} copies must have a write, {} count\n",
                  policy_name(v), v.write_cache(), v.required(), member_count(v), v.eligible());
  if (v.has_change()) out += "  change    " + change_text(v);
  out += fmt::format("  primary   {}, epoch {}, revision {}{}{}\n",
                     v.primary_node().empty() ? "none" : v.primary_node(), v.epoch(), v.revision(),
                     v.serving() ? ", serving" : ", not serving yet",
                     v.pending_epoch() == 0
                         ? ""
                         : fmt::format(", failover to epoch {} under way", v.pending_epoch()));
  if (v.has_force()) out += force_text(v.force());
  out += failures_text(v);
  out += fmt::format("  attached  {}\n  id        {}, incarnation {}\n\n", attached_at(v), v.id(),
                     v.incarnation());
  return out + replica_table(v, colours).text();
}

std::string nodes_table(const std::vector<pb::Node>& nodes, bool colours) {
  Table table({"NAME", "STATE", "ADDRESS", "REPLICAS", "PRIMARIES", "POOL", "FREE", "HEARD"},
              colours);
  for (std::size_t column = 3; column <= 7; ++column) table.align_right(column);
  for (const pb::Node& n : nodes) {
    table.add({n.name(), n.state(), n.data_address(), fmt::format("{}", n.replicas()),
               fmt::format("{}", n.primaries()), human_size(n.pool_bytes()),
               human_size(n.pool_free_bytes()),
               n.has_heard_ms_ago() ? fmt::format("{} ms ago", n.heard_ms_ago()) : "-"});
    table.tint(1, n.state() == "alive"  ? Colour::green
                  : n.state() == "down" ? Colour::red
                                        : Colour::yellow);
  }
  return table.text();
}

Colour colour_of_health(const std::string& health) {
  if (health == "healthy") return Colour::green;
  if (health == "degraded" || health == "recovering" || health == "creating") return Colour::yellow;
  if (health == "unavailable" || health == "faulted") return Colour::red;
  return Colour::none;
}

Colour colour_of_replica(const std::string& state) {
  if (state == "in_sync") return Colour::green;
  if (state == "unreachable" || state == "failed" || state == "terminal") return Colour::red;
  return Colour::yellow;
}

std::uint32_t member_count(const pb::Volume& v) {
  std::uint32_t count = 0;
  for (const pb::ReplicaView& replica : v.replicas()) count += replica.member() ? 1 : 0;
  return count;
}

std::string policy_name(const pb::Volume& v) {
  return policy_name(v.policy(), v.min_in_sync(), member_count(v));
}

std::string change_text(const pb::Volume& v) {
  if (!v.has_change()) {
    return fmt::format("{}: {} replicas, policy {}, write cache {}\n", v.name(), member_count(v),
                       policy_name(v), v.write_cache());
  }
  const pb::ChangeView& change = v.change();
  return fmt::format("{}: changing to {} replicas, policy {}, write cache {}: {}\n", v.name(),
                     change.replicas(),
                     policy_name(change.policy(), change.min_in_sync(), change.replicas()),
                     change.write_cache(), change.waiting());
}

std::string replica_activity(const pb::ReplicaView& r, std::size_t bar_width) {
  std::string out = r.joining() ? "joining: " + r.state() : r.state();
  if (r.leaving()) out = "leaving: " + out;
  if (r.bytes_total() > 0 && r.state() != "in_sync") {
    const std::uint64_t left = std::min(r.bytes_left(), r.bytes_total());
    out +=
        fmt::format(" {} {} left", progress_bar(r.bytes_total() - left, r.bytes_total(), bar_width),
                    human_size(left));
  }
  if (!r.reason().empty() && r.state() != "in_sync") out += fmt::format(" ({})", r.reason());
  return out;
}

}  // namespace seawall::cli
