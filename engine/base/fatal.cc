#include "engine/base/fatal.h"

#include <unistd.h>

#include "engine/base/emergency.h"

namespace seawall {

namespace {

// Set once by a main before its threads start; read only while the process dies.
FatalHook fatal_hook = nullptr;

}  // namespace

const char* fatal_reason_name(FatalReason reason) {
  switch (reason) {
    case FatalReason::bad_configuration: return "bad_configuration";
    case FatalReason::disk_write_failed: return "disk_write_failed";
    case FatalReason::disk_flush_failed: return "disk_flush_failed";
    case FatalReason::disk_hung: return "disk_hung";
    case FatalReason::no_log_space: return "no_log_space";
    case FatalReason::pool_in_use: return "pool_in_use";
    case FatalReason::pool_foreign: return "pool_foreign";
    case FatalReason::pool_corrupt: return "pool_corrupt";
    case FatalReason::store_failed: return "store_failed";
    case FatalReason::kernel_refused: return "kernel_refused";
    case FatalReason::address_in_use: return "address_in_use";
    case FatalReason::out_of_memory: return "out_of_memory";
    case FatalReason::clock_failed: return "clock_failed";
  }
  return "unknown";
}

FatalHook set_fatal_hook(FatalHook hook) {
  FatalHook before = fatal_hook;
  fatal_hook = hook;
  return before;
}

void fatal_at(FatalReason reason, const char* detail, const char* file, int line) {
  if (fatal_hook != nullptr) {
    fatal_hook(reason, detail);
  } else {
    emergency_line("fatal: ", fatal_reason_name(reason), detail, file, line);
  }
  ::_exit(exit_code(reason));
}

}  // namespace seawall
