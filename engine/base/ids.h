// Words of the protocol as types that cannot be mixed up.
//
// Purpose: a number that travels through Seawall has exactly one meaning; the compiler knows it.
// Units: lsn counts records; Lba and BlockCount count blocks of 4 KiB; Instant and Duration count
// milliseconds of the monotonic clock that the owner of the state machine injects.
// "Unknown" is std::nullopt, never a number. Lsn{0} is the empty prefix: the first record is lsn 1.
#pragma once

#include <cstdint>

#include "engine/base/strong.h"

namespace seawall {

using LsnCount = Count<struct LsnTag>;
using Lsn = Point<struct LsnTag, std::uint64_t, LsnCount>;

// Minted by the controller only, never reused. It is also the log term.
using Epoch = Id<struct EpochTag, std::uint64_t>;
using Term = Epoch;
using Revision = Id<struct RevisionTag, std::uint64_t>;

using ReplicaId = Id<struct ReplicaTag, std::uint64_t>;  // stable, opaque, never an address
using NodeId = Id<struct NodeTag, std::uint64_t>;
using VolumeId = Id128<struct VolumeTag>;
using Incarnation = Id128<struct IncarnationTag>;  // random, minted with the volume
using EndpointVersion = Id<struct EndpointVersionTag, std::uint64_t>;
using ProcessStart = Id<struct ProcessStartTag, std::uint64_t>;  // random per process start

// The generation of an attachment: rises with every attach of the volume, never reused.
using AttachmentId = Id<struct AttachmentTag, std::uint64_t>;
using ConnectionNumber = Id<struct ConnectionTag, std::uint64_t>;
using RequestNumber = Id<struct RequestTag, std::uint64_t>;

using BlockCount = Count<struct BlockTag>;
using Lba = Point<struct BlockTag, std::uint64_t, BlockCount>;
using ByteCount = Count<struct ByteTag>;
using ByteOffset = Point<struct ByteTag, std::uint64_t, ByteCount>;

using Duration = Count<struct TimeTag>;
using Instant = Point<struct TimeTag, std::uint64_t, Duration>;

// A payload buffer of the executor's pool. The engine passes it on and never looks inside.
using Slot = Id<struct SlotTag, std::uint32_t>;
inline constexpr Slot no_slot{0xffffffffu};

// One byte stream to one peer, or to one client; never reused within a process.
using LinkId = Id<struct LinkTag, std::uint64_t>;

// A recovery or replication session of one replica: rises within an epoch, and with it.
struct SessionId {
  Epoch epoch;
  std::uint64_t counter = 0;
  friend constexpr auto operator<=>(const SessionId&, const SessionId&) = default;
};

// Newest record that somebody has seen: compared as a pair, term first.
struct Position {
  Term term;
  Lsn lsn;
  friend constexpr auto operator<=>(const Position&, const Position&) = default;
};

}  // namespace seawall
