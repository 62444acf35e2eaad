#include "engine/base/check.h"

#include <cstdlib>

#include "engine/base/emergency.h"

namespace seawall {

namespace {

// Set once by a main before its threads start; read only while the process dies.
CheckHook check_hook = nullptr;

}  // namespace

CheckHook set_check_hook(CheckHook hook) {
  CheckHook before = check_hook;
  check_hook = hook;
  return before;
}

void check_failed(const char* file, int line, const char* condition, const char* message) {
  const CheckHook hook = check_hook;
  check_hook = nullptr;  // a check that fails inside the hook goes to stderr
  if (hook != nullptr) {
    hook(CheckFailure{file, line, condition, message});
  } else {
    emergency_line("CHECK failed: ", condition, message, file, line);
  }
  std::abort();
}

}  // namespace seawall
