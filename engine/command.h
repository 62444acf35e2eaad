// Everything a Core can want done. The executor (node/runtime) carries them out in order, takes no
// decision, and answers by events. Pointers are valid until the next step of the same Core.
#pragma once

#include <cstdint>
#include <optional>
#include <variant>

#include "engine/base/bounded_vector.h"
#include "engine/base/facts.h"
#include "engine/base/ids.h"
#include "engine/base/record.h"
#include "engine/base/request_table.h"
#include "engine/client.h"
#include "engine/control.h"
#include "engine/message.h"

namespace seawall::command {

// --- the own log: answered by LogWritten, LogDurable, LogFailed ---
struct AppendLog { RecordHeader header; Slot slot = no_slot; };
struct FlushLog {};                  // make everything appended so far durable
struct SetFoldLimit { Lsn upto; };  // records up to here are stable: the checkpointer may fold them
struct PinLog { std::uint64_t pin = 0; Lsn from; };   // keep records from here; same pin: moves it
struct UnpinLog { std::uint64_t pin = 0; };

// Only what is set changes. Both slots, flushed; answered by SuperWritten{token}.
struct WriteSuper {
  std::uint64_t token = 0;
  std::optional<Epoch> promise;
  std::optional<Epoch> seen_epoch;
  std::optional<Revision> seen_revision;
  std::optional<Floor> floor;
  bool clear_floor = false;
  bool clear_marker = false;
  std::optional<bool> intact;
};
struct RewindLog { Lsn to; };        // durable; answered by RewindDone with fresh facts

// --- peers ---
struct DialPeer { ReplicaId peer; EndpointVersion version; };  // keeps trying; answered by PeerUp
struct HangUp { LinkId link; };      // ends a link, dialled or accepted; no event follows
struct StopDialling { ReplicaId peer; };
struct Send { LinkId link; message::Envelope envelope; message::PeerMessage message; };
// Read records [from, ..] of the own log, at most max_bytes and not beyond upto, and queue each as
// an Append frame on the link, in order. One at a time a peer (one of a newer session replaces it);
// answered by LogStreamed with at least one record, or ok = false.
struct StreamLog { ReplicaId peer; LinkId link; SessionId session; message::Envelope envelope;
                   Lsn from; Lsn upto; std::uint32_t max_bytes = 0;
                   std::optional<Lsn> committed, stable; };

// --- rebuild, source side: answered by BaseFrozen, BaseSent ---
struct FreezeBase { ReplicaId peer; SessionId session; };
// The replica's map of one range: what differs is what the following SendBase send.
struct CompareBase { ReplicaId peer; SessionId session; message::BaseMap map;
                     std::optional<Lsn> since; };
struct SendBase { ReplicaId peer; LinkId link; SessionId session; message::Envelope envelope;
                  std::uint32_t extents_max = 0; };
struct ThawBase { ReplicaId peer; SessionId session; };
// --- rebuild, target side: answered by RebuildPrepared, BaseMapRead, BaseWritten, BaseFlushed ---
struct PrepareRebuild { RebuildMarker marker; std::optional<Floor> floor; Term cut_term;
                        std::uint64_t cut_chain = 0; const TermTable* terms = nullptr;
                        const RequestTables* requests = nullptr; bool keep_base = false; };
// Reads the own map from `from` on and queues it as a BaseMap frame on the link.
struct ReadBaseMap { LinkId link; SessionId session; message::Envelope envelope; Lba from;
                     std::optional<Lsn> since; };
struct WriteBase { SessionId session; message::BaseBlocks blocks; };
struct FlushBase { SessionId session; std::optional<Lsn> since; };

// --- damage ---
// Read a record, or blocks, for a peer, and queue the answer on its link: RecordPayload (found:
// from the log, or from the base if that fits the digest) or BlocksPayload. No event follows.
struct ServeRecord { LinkId link; message::Envelope envelope; RecordHeader header;
                     bool to_primary = false; };
struct ServeBlocks { LinkId link; message::Envelope envelope; std::uint64_t id = 0; Lba lba;
                     BlockCount blocks; bool to_primary = true; };
// Payloads of unknown records, or the word that nobody has them; durable. Answered by LogRepaired.
struct RepairPiece { Lsn lsn; Slot slot = no_slot; };  // no_slot: lost
struct RepairLog { BoundedVector<RepairPiece, 8> pieces; };
// Puts each block that fits our own CRC where a bad one is; durable. Answered by BlocksRepaired.
struct RepairBlocks { std::uint64_t id = 0; Lba lba; BlockCount blocks; Slot slot = no_slot; };
// The base is given up, durably, and this replica with it: LogFailed follows, then a full rebuild.
struct DistrustBase {};

// --- clients ---
struct AttachReply { LinkId link; ClientAttachReply reply; };
struct Complete { LinkId link; ClientDone done; };          // the one gate has let it through
struct ReadData { std::uint64_t token = 0; Lba lba; BlockCount blocks; };  // answered by ReadDone
struct DropSlot { Slot slot; };      // the engine holds no further interest in this payload

// --- control ---
struct ReportFence { FenceReport const* report = nullptr; };
struct RefuseFence { Epoch asked; Epoch promised; };   // a higher promise stands
// This replica will not be the primary of that assignment, or two contents claim one revision.
struct RefuseAssignment { Epoch epoch; Revision revision; const char* reason = ""; };
struct Propose { ConfigProposal proposal; };
struct RequestFailover { Epoch epoch; const char* reason = ""; };
struct WakeAt { Instant at; };       // a Tick is wanted at this time; the earliest wins

}  // namespace seawall::command

namespace seawall {
using Command =
    std::variant<command::AppendLog, command::FlushLog, command::SetFoldLimit, command::PinLog,
                 command::UnpinLog, command::WriteSuper, command::RewindLog, command::DialPeer,
                 command::HangUp, command::StopDialling, command::Send, command::StreamLog,
                 command::FreezeBase, command::CompareBase, command::SendBase,
                 command::ThawBase, command::PrepareRebuild, command::ReadBaseMap,
                 command::WriteBase, command::FlushBase,
                 command::ServeRecord, command::ServeBlocks, command::RepairLog,
                 command::RepairBlocks, command::DistrustBase,
                 command::AttachReply, command::Complete, command::ReadData, command::DropSlot,
                 command::ReportFence, command::RefuseFence,
                 command::RefuseAssignment, command::Propose, command::RequestFailover,
                 command::WakeAt>;
}  // namespace seawall
