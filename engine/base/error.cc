#include "engine/base/error.h"

namespace seawall {

const char* errc_name(Errc code) {
  switch (code) {
    case Errc::ok: return "ok";
    case Errc::invalid_argument: return "invalid_argument";
    case Errc::not_found: return "not_found";
    case Errc::already_exists: return "already_exists";
    case Errc::stale_epoch: return "stale_epoch";
    case Errc::not_primary: return "not_primary";
    case Errc::fenced: return "fenced";
    case Errc::no_lease: return "no_lease";
    case Errc::corrupt: return "corrupt";
    case Errc::io_error: return "io_error";
    case Errc::no_space: return "no_space";
    case Errc::timed_out: return "timed_out";
    case Errc::busy: return "busy";
    case Errc::refused: return "refused";
    case Errc::unavailable: return "unavailable";
    case Errc::wrong_incarnation: return "wrong_incarnation";
    case Errc::unknown_version: return "unknown_version";
    case Errc::too_large: return "too_large";
    case Errc::exhausted: return "exhausted";
    case Errc::internal: return "internal";
    case Errc::lost: return "lost";
    case Errc::divergent: return "divergent";
    case Errc::conflict: return "conflict";
    case Errc::cancelled: return "cancelled";
    case Errc::read_only: return "read_only";
    case Errc::permission: return "permission";
    case Errc::not_supported: return "not_supported";
  }
  return "unknown";
}

}  // namespace seawall
