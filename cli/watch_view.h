// What `seawall watch` shows of one moment of the cluster. Pure: the same cluster, the same text.
#pragma once

#include <string>

#include "proto/control.pb.h"

namespace seawall::cli {

// Volumes, each with its replicas and the bars of their recoveries, then nodes: for a terminal.
std::string watch_screen(const seawall::v1::Cluster& cluster, std::size_t width, bool colours);

// The same as one line a volume, without what changes with every write: for logs, and to tell
// whether something happened.
std::string watch_lines(const seawall::v1::Cluster& cluster);

}  // namespace seawall::cli
