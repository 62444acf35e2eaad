// The daemons of a local cluster as JSON (a stable interface) and as a table.
#pragma once

#include <boost/json.hpp>
#include <string>

#include "cli/local_cluster.h"

namespace seawall::cli {

boost::json::object cluster_json(const LocalCluster& cluster);
std::string cluster_text(const LocalCluster& cluster, bool colours);

// How many of its daemons run.
std::size_t running_daemons(const LocalCluster& cluster);

}  // namespace seawall::cli
