// The last words of a dying process: one line to file descriptor 2, without stdio or allocation.
// The only output of engine/base; called by check.cc and fatal.cc and by nobody else.
#pragma once

namespace seawall {

// Writes "<title><what> (<detail>) at <file>:<line>\n"; an empty detail is left out. Async-signal
// safe. A failed write is ignored: there is nobody left to tell.
void emergency_line(const char* title, const char* what, const char* detail, const char* file,
                    int line);

}  // namespace seawall
