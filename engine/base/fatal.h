// fatal: the channel for an environment that failed (a disk, a descriptor, no room for the log).
//
// The process says one line and exits with the reason's own code, so that whoever starts it again
// knows what happened. A bug is a CHECK; an expected refusal is a Result.
// Thread: any. The hook (installed once by a main, or by a test) gets static strings only; it may
// leave by other means (a test by longjmp or exit), else the process exits with exit_code(reason).
#pragma once

#include <cstdint>

namespace seawall {

// Exit codes: documented, never renumbered. 1 and 2 belong to shells and usage errors.
enum class FatalReason : std::uint8_t {
  bad_configuration = 10,
  disk_write_failed = 11,
  disk_flush_failed = 12,
  disk_hung = 13,
  no_log_space = 14,
  pool_in_use = 15,
  pool_foreign = 16,
  pool_corrupt = 17,
  store_failed = 18,
  kernel_refused = 19,
  address_in_use = 20,
  out_of_memory = 21,
  clock_failed = 22,
};

const char* fatal_reason_name(FatalReason reason);
constexpr int exit_code(FatalReason reason) { return static_cast<int>(reason); }

using FatalHook = void (*)(FatalReason reason, const char* detail);

// Installs the hook that reports the reason and returns the one before it; nullptr restores the
// default, which writes to stderr.
FatalHook set_fatal_hook(FatalHook hook);

[[noreturn]] void fatal_at(FatalReason reason, const char* detail, const char* file, int line);

}  // namespace seawall

#define FATAL(reason, detail) ::seawall::fatal_at((reason), (detail), __FILE__, __LINE__)
