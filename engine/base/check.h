// CHECK: the channel for bugs. Always on, in every build.
//
//   CHECK(condition);                  aborts with file, line and the condition's text
//   CHECK_MSG(condition, "why");       the same, with a sentence
//   UNREACHABLE("why");                a place that no correct program reaches
//   MAYBE(condition);                  documents that both values are legal here; evaluates it
//
// An environment that fails is fatal() (fatal.h); an expected refusal is a Result (result.h).
// Thread: any. A failed check calls the hook once (when one is set), then aborts; it never
// returns. The hook gets static strings only and must not allocate.
#pragma once

namespace seawall {

struct CheckFailure {
  const char* file;
  int line;
  const char* condition;
  const char* message;  // "" when there is none
};

using CheckHook = void (*)(const CheckFailure&);

// Installs the hook that reports a failed check (mains install one that writes a log line) and
// returns the one before it. nullptr restores the default, which writes to stderr.
CheckHook set_check_hook(CheckHook hook);

[[noreturn]] void check_failed(const char* file, int line, const char* condition,
                               const char* message);

}  // namespace seawall

#define CHECK_MSG(condition, message)                                     \
  do {                                                                    \
    if (!(condition)) [[unlikely]] {                                      \
      ::seawall::check_failed(__FILE__, __LINE__, #condition, (message)); \
    }                                                                     \
  } while (false)

// Variadic, so that a condition may hold commas of template arguments.
#define CHECK(...)                                                   \
  do {                                                               \
    if (!(__VA_ARGS__)) [[unlikely]] {                               \
      ::seawall::check_failed(__FILE__, __LINE__, #__VA_ARGS__, ""); \
    }                                                                \
  } while (false)

#define UNREACHABLE(message) ::seawall::check_failed(__FILE__, __LINE__, "unreachable", (message))

#define MAYBE(...) static_cast<void>((__VA_ARGS__) ? 0 : 1)
