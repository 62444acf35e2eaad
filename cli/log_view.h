// How the log of a replica looks: as JSON (a stable interface) and as text.
#pragma once

#include <boost/json.hpp>
#include <string>

#include "cli/replica_log.h"

namespace seawall::cli {

boost::json::object log_json(const ReplicaLog& log);
boost::json::object record_json(const LogRecord& record);
std::string log_text(const ReplicaLog& log, bool colours);

}  // namespace seawall::cli
