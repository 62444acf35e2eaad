// Which addresses plain text may use: loopback and unix sockets only. Pure.
#pragma once

#include <string>
#include <vector>

#include "engine/base/result.h"

namespace seawall::controller {

// "a,b" in its parts; Errc::invalid_argument with `detail` for an empty or malformed part, or one
// that is neither 127.0.0.0/8, [::1], localhost nor unix:PATH.
Result<std::vector<std::string>> parse_listen(const std::string& text, std::string* detail);

}  // namespace seawall::controller
