// JSON as people and scripts read it: indented by two, keys in the order they were added.
#pragma once

#include <boost/json.hpp>
#include <string>

namespace seawall::cli {

std::string json_text(const boost::json::value& value);  // ends with a newline

}  // namespace seawall::cli
