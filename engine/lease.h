// The lease: may anything leave this primary now?
//
// A replica grants with every answer; the grant runs from the SENDING of what it answers, by our
// clock, so a message that lingered is worth nothing. Enough members must have granted within the
// lease that every set that could promote another primary contains a granter: W under quorum, the
// whole in-sync set under in-sync, both while a change is proposed. The primary is one of them. The
// primary counts with a lease shorter by 1/64 and a tick: the drift of two monotonic clocks that is
// tolerated.
// Pure. Thread: any. Units: milliseconds.
#pragma once

#include <optional>
#include <span>

#include "engine/control.h"
#include "engine/quorum.h"

namespace seawall {

// The length with which a primary counts: below what its replicas wait out.
constexpr Duration primary_lease(Duration lease) {
  return Duration{lease.value() - lease.value() / 64 - 1};
}

// The instant from which on nothing may leave; nullopt: nothing may leave at all.
inline std::optional<Instant> lease_end(const Configuration& config,
                                        const std::optional<Configuration>& wanted,
                                        std::span<const Standing<Instant>> grants,
                                        Duration lease) {
  const std::optional<Instant> oldest = reached_jointly(config, wanted, grants);
  if (!oldest) return std::nullopt;
  return *oldest + primary_lease(lease);
}

}  // namespace seawall
