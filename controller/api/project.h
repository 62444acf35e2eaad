// The projection that users see, as messages of control.proto. Reads Core, changes nothing; runs on
// the thread that owns Core.
#pragma once

#include <optional>
#include <string>

#include "controller/core/core.h"
#include "proto/control.pb.h"

namespace seawall::controller {

// Volumes (without those that are being deleted) and nodes, both sorted by name.
v1::Cluster project_cluster(const Core& core, Instant now);
// Takes out what changes by itself, so that two projections of one state are the same bytes.
void forget_ages(v1::Cluster& cluster);
// The volume of that name that is not being deleted; nullopt: there is none.
std::optional<v1::Volume> project_volume(const Core& core, const std::string& name, Instant now);

}  // namespace seawall::controller
