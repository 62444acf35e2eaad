// How the record of a `volume force` looks: who, when, why, and what may be lost.
#pragma once

#include <boost/json.hpp>
#include <string>

#include "proto/control.pb.h"

namespace seawall::cli {

boost::json::object force_json(const v1::ForceInfo& force);
// Two lines, indented.
std::string force_text(const v1::ForceInfo& force);

}  // namespace seawall::cli
