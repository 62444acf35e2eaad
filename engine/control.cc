#include "engine/control.h"

namespace seawall {

const char* role_name(Role role) {
  switch (role) {
    case Role::none: return "none";
    case Role::replica: return "replica";
    case Role::promoting: return "promoting";
    case Role::primary: return "primary";
    case Role::stepped_down: return "stepped_down";
  }
  return "unknown";
}

const char* replica_state_name(ReplicaState state) {
  switch (state) {
    case ReplicaState::in_sync: return "in_sync";
    case ReplicaState::catching_up: return "catching_up";
    case ReplicaState::rebuilding: return "rebuilding";
    case ReplicaState::rewinding: return "rewinding";
    case ReplicaState::proving: return "proving";
    case ReplicaState::unreachable: return "unreachable";
    case ReplicaState::failed: return "failed";
    case ReplicaState::unknown: return "unknown";
    case ReplicaState::terminal: return "terminal";
  }
  return "unknown";
}

const char* recovery_kind_name(RecoveryKind kind) {
  switch (kind) {
    case RecoveryKind::none: return "none";
    case RecoveryKind::attach: return "attach";
    case RecoveryKind::rewind: return "rewind";
    case RecoveryKind::catch_up: return "catch_up";
    case RecoveryKind::delta: return "delta";
    case RecoveryKind::full: return "full";
  }
  return "unknown";
}

const char* session_phase_name(SessionPhase phase) {
  switch (phase) {
    case SessionPhase::none: return "none";
    case SessionPhase::issued: return "issued";
    case SessionPhase::running: return "running";
    case SessionPhase::closing: return "closing";
    case SessionPhase::closed: return "closed";
  }
  return "unknown";
}

}  // namespace seawall
