// Everything that can happen to a Core. Event in, commands out (command.h); nothing else gets in.
//
// Events are small values; pointers in them are valid during the step only.
#pragma once

#include <cstdint>
#include <optional>
#include <variant>

#include "engine/base/error.h"
#include "engine/base/facts.h"
#include "engine/base/ids.h"
#include "engine/base/request_table.h"
#include "engine/client.h"
#include "engine/control.h"
#include "engine/message.h"

namespace seawall::event {

// The replica's store is open: what it can prove. First event of a Core's life. `requests` are the
// tables as of facts->marks.written: what the super block holds, and the log folded on top;
// nullptr: empty ones.
struct Opened {
  const ReplicaFacts* facts = nullptr;
  const RequestTables* requests = nullptr;
  std::span<const RecordHeader> unknown = {};  // without payload, beyond `applied`; oldest first
};
struct Tick {};

// --- control ---
struct Assigned { const Assignment* assignment = nullptr; };
struct Fence { FenceRequest request; };
struct ProposalRefused { ConfigRefusal refusal; };
struct Removed {};  // the replica is no longer a member: everything ends

// --- peers ---
struct PeerUp { ReplicaId peer; LinkId link; };      // the primary dialled and reached it
struct PeerDown { ReplicaId peer; LinkId link; };
struct Received {
  LinkId link;
  const message::Envelope* envelope = nullptr;
  const message::PeerMessage* message = nullptr;
};
struct LinkClosed { LinkId link; };  // an accepted link ended

// --- the own log ---
struct LogWritten { Lsn upto; };
struct LogDurable { Lsn upto; };
struct LogFailed { Errc errc = Errc::io_error; };
struct SuperWritten { std::uint64_t token = 0; };
struct RewindDone { bool ok = false; const ReplicaFacts* facts = nullptr; };
struct Checkpointed { Lsn applied; Lsn trimmed; };
struct LogSpace { std::uint8_t fill_percent = 0; };  // told at each change of 5 %

// --- the stream from the log ---
// Records up to `upto` were queued on the peer's link by command::StreamLog, in order.
struct LogStreamed { ReplicaId peer; SessionId session; Lsn upto; bool ok = false; };

// --- rebuild ---
struct BaseFrozen { ReplicaId peer; SessionId session; bool ok = false; Lsn cut; Term cut_term;
                    std::uint64_t cut_chain = 0; std::uint64_t extents = 0; };
// `upto`: all before it was compared; `range_done`: the range of the last CompareBase was.
struct BaseSent { ReplicaId peer; SessionId session; bool ok = false; std::uint64_t sequence = 0;
                  bool range_done = false; Lba upto; std::uint64_t digest = 0;
                  std::uint64_t compared = 0; std::uint64_t map_digest = 0; };
// `requests`: the tables that the super block holds now.
struct RebuildPrepared { SessionId session; bool ok = false; const ReplicaFacts* facts = nullptr;
                         const RequestTables* requests = nullptr; };
struct BaseMapRead { SessionId session; bool ok = false; };
struct BaseWritten { SessionId session; std::uint64_t sequence = 0; bool ok = false;
                     std::uint64_t digest = 0; };  // running digest of what has arrived
struct BaseFlushed { SessionId session; bool ok = false;
                     std::uint64_t count = 0, digest = 0; };  // of the own map, changed after since

// --- damage ---
struct LogRepaired { bool ok = false; Damage damage = Damage::none;
                     std::span<const RecordHeader> unknown = {}; };  // what is left of them
struct RecordUnknown { RecordHeader header; };  // its payload turned out unreadable in a stream
struct BlocksRepaired { std::uint64_t id = 0; bool any = false; };  // at least one block fitted
// Found bad here, with or without a reader. `map`: their entries are: no bytes can fit them.
struct BlocksRotten { Lba lba; BlockCount blocks; bool map = false; };
struct LostByWord {};  // an operator: what no replica that is there can give is lost

// --- clients ---
struct ClientOpened { LinkId link; ClientAttach attach; };
struct ClientClosed { LinkId link; };
struct ClientAsked { LinkId link; ClientRequest request; };
struct ReadDone { std::uint64_t token = 0; Errc errc = Errc::ok; Slot slot = no_slot; };

}  // namespace seawall::event

namespace seawall {
using Event =
    std::variant<event::Opened, event::Tick, event::Assigned, event::Fence, event::ProposalRefused,
                 event::Removed, event::PeerUp, event::PeerDown, event::Received, event::LinkClosed,
                 event::LogWritten, event::LogDurable, event::LogFailed, event::SuperWritten,
                 event::RewindDone, event::Checkpointed, event::LogSpace, event::LogStreamed,
                 event::BaseFrozen, event::BaseSent, event::RebuildPrepared,
                 event::BaseMapRead, event::BaseWritten,
                 event::BaseFlushed, event::LogRepaired, event::RecordUnknown,
                 event::BlocksRepaired, event::BlocksRotten,
                 event::LostByWord, event::ClientOpened, event::ClientClosed,
                 event::ClientAsked, event::ReadDone>;
}  // namespace seawall
