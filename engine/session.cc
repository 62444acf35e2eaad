#include "engine/session.h"

namespace seawall {

std::optional<FailureKind> failure_of(SessionEnd end) {
  switch (end) {
    case SessionEnd::epoch_over:
    case SessionEnd::superseded:
    case SessionEnd::transport:
    case SessionEnd::endpoint_changed:
    case SessionEnd::silent:
    case SessionEnd::start_deadline:
    case SessionEnd::rewound:
    case SessionEnd::stale:
    case SessionEnd::refused:
    case SessionEnd::wrong_incarnation: break;
    case SessionEnd::stalled: return FailureKind::stalled;
    case SessionEnd::gap: return FailureKind::gap;
    case SessionEnd::divergence: return FailureKind::divergence;
    case SessionEnd::marker: return FailureKind::marker;
    case SessionEnd::log_failed: return FailureKind::log_failed;
    case SessionEnd::log_full: return FailureKind::log_full;
    case SessionEnd::broken_contract: return FailureKind::broken_contract;
    case SessionEnd::unrepaired: return FailureKind::unrepaired;
    case SessionEnd::trimmed: return FailureKind::trimmed;
    case SessionEnd::log_unreadable: return FailureKind::log_unreadable;
    case SessionEnd::base_failed: return FailureKind::base_failed;
    case SessionEnd::not_equal: return FailureKind::not_equal;
    case SessionEnd::misfit: return FailureKind::misfit;
    case SessionEnd::not_converging: return FailureKind::not_converging;
    case SessionEnd::log_given_up: return FailureKind::log_given_up;
  }
  if (MUTANT(M121) && end == SessionEnd::transport) return FailureKind::stalled;
  return std::nullopt;
}

EndRule rule_of(SessionEnd end) {
  switch (end) {
    case SessionEnd::epoch_over:
    case SessionEnd::endpoint_changed:
    case SessionEnd::silent:
    case SessionEnd::start_deadline: return {.hang_up = true};
    case SessionEnd::stale: return {.pause = Duration{50}};
    case SessionEnd::refused: return {.pause = Duration{200}};
    case SessionEnd::wrong_incarnation: return {.alarm = true, .pause = Duration{10'000}};
    default: return {};
  }
}

const char* session_end_name(SessionEnd end) {
  switch (end) {
    case SessionEnd::epoch_over: return "epoch over";
    case SessionEnd::superseded: return "superseded";
    case SessionEnd::transport: return "unreachable";
    case SessionEnd::endpoint_changed: return "endpoint changed";
    case SessionEnd::silent: return "silent";
    case SessionEnd::start_deadline: return "did not start in time";
    case SessionEnd::rewound: return "rewound";
    case SessionEnd::stale: return "refused as stale";
    case SessionEnd::refused: return "refused";
    case SessionEnd::wrong_incarnation: return "another incarnation";
    case SessionEnd::stalled: return "no progress";
    case SessionEnd::gap: return "gap in the stream";
    case SessionEnd::divergence: return "divergent";
    case SessionEnd::marker: return "carries a marker";
    case SessionEnd::log_failed: return "its log failed";
    case SessionEnd::log_full: return "its log is full";
    case SessionEnd::broken_contract: return "broken contract";
    case SessionEnd::unrepaired: return "records without payload";
    case SessionEnd::trimmed: return "what it lacks is trimmed";
    case SessionEnd::log_unreadable: return "log not readable here";
    case SessionEnd::base_failed: return "base not readable here";
    case SessionEnd::not_equal: return "rebuild not equal";
    case SessionEnd::misfit: return "smaller than the volume";
    case SessionEnd::not_converging: return "its writers are faster than its catch-up";
    case SessionEnd::log_given_up: return "its place in the log was given up";
  }
  return "?";
}

}  // namespace seawall
