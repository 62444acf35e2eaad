// How volumes and nodes look: as JSON (a stable interface) and as tables.
#pragma once

#include <boost/json.hpp>
#include <string>
#include <vector>

#include "cli/table.h"
#include "proto/control.pb.h"

namespace seawall::cli {

namespace pb = seawall::v1;

boost::json::object volume_json(const pb::Volume& volume);
boost::json::object node_json(const pb::Node& node);

std::string volumes_table(const std::vector<pb::Volume>& volumes, bool colours);
// One volume with its replicas, several lines.
std::string volume_text(const pb::Volume& volume, bool colours);
std::string nodes_table(const std::vector<pb::Node>& nodes, bool colours);

Colour colour_of_health(const std::string& health);
Colour colour_of_replica(const std::string& state);

// all and best-effort are in-sync with minInSync n and 1: the name that says most.
std::string policy_name(const pb::Volume& volume);
// Newcomers of a change are no members yet.
std::uint32_t member_count(const pb::Volume& volume);
// One line: what is in force, or what it changes to and what that waits for.
std::string change_text(const pb::Volume& volume);

// What a replica does now: "in_sync", or "catching_up [###....]  42 %  12 MiB left".
std::string replica_activity(const pb::ReplicaView& replica, std::size_t bar_width);

}  // namespace seawall::cli
