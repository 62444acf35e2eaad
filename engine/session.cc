#include "engine/session.h"

namespace seawall {

SessionRule rule_of(SessionEnd end) {
  switch (end) {
    case SessionEnd::epoch_over: return {.hang_up = true};
    case SessionEnd::superseded: return {};
    case SessionEnd::transport: return {};
    case SessionEnd::endpoint_changed: return {.hang_up = true};
    case SessionEnd::silent: return {.hang_up = true};
    case SessionEnd::start_deadline: return {.hang_up = true};
    case SessionEnd::progress_deadline: return {.hang_up = true};
    case SessionEnd::gap: return {.wait = Duration{10}};
    case SessionEnd::divergence: return {.wait = Duration{10}};
    case SessionEnd::rewound: return {};
    case SessionEnd::log_failed: return {.wait = Duration{2'000}};
    case SessionEnd::log_full: return {.wait = Duration{500}};
    case SessionEnd::stale: return {.wait = Duration{50}};
    case SessionEnd::refused: return {.wait = Duration{200}};
    case SessionEnd::wrong_incarnation: return {.alarm = true, .wait = Duration{10'000}};
    case SessionEnd::marker: return {.wait = Duration{10}};
    case SessionEnd::unrepaired: return {.escalate = Escalation::full, .wait = Duration{10}};
    case SessionEnd::log_unreadable:
      return {.escalate = Escalation::delta, .wait = Duration{10}};
    case SessionEnd::base_failed:
      return {.escalate = Escalation::full, .wait = Duration{1'000}};
    case SessionEnd::not_equal:
      return {.escalate = Escalation::full, .alarm = true, .wait = Duration{1'000}};
    case SessionEnd::not_converging:
    case SessionEnd::log_given_up:
      return {.escalate = Escalation::delta, .wait = Duration{100}};
  }
  return {};
}

const char* session_end_name(SessionEnd end) {
  switch (end) {
    case SessionEnd::epoch_over: return "epoch over";
    case SessionEnd::superseded: return "superseded";
    case SessionEnd::transport: return "unreachable";
    case SessionEnd::endpoint_changed: return "endpoint changed";
    case SessionEnd::silent: return "silent";
    case SessionEnd::start_deadline: return "did not start in time";
    case SessionEnd::progress_deadline: return "no progress";
    case SessionEnd::gap: return "gap in the stream";
    case SessionEnd::divergence: return "divergent";
    case SessionEnd::rewound: return "rewound";
    case SessionEnd::log_failed: return "its log failed";
    case SessionEnd::log_full: return "its log is full";
    case SessionEnd::stale: return "refused as stale";
    case SessionEnd::refused: return "refused";
    case SessionEnd::wrong_incarnation: return "another incarnation";
    case SessionEnd::marker: return "carries a marker";
    case SessionEnd::unrepaired: return "records without payload";
    case SessionEnd::log_unreadable: return "log not readable here";
    case SessionEnd::base_failed: return "base not readable here";
    case SessionEnd::not_equal: return "rebuild not equal";
    case SessionEnd::not_converging: return "its writers are faster than its catch-up";
    case SessionEnd::log_given_up: return "its place in the log was given up";
  }
  return "?";
}

}  // namespace seawall
