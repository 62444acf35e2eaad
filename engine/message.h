// Messages between the replicas of one volume.
//
// Plain values; the bytes on the wire are node/runtime/wire's business. Every message travels in an
// Envelope: a frame of an older epoch or session changes nothing at its receiver.
#pragma once

#include <cstdint>
#include <optional>
#include <variant>

#include "engine/base/facts.h"
#include "engine/base/ids.h"
#include "engine/base/record.h"
#include "engine/base/request_table.h"
#include "engine/control.h"

namespace seawall::message {

struct Envelope {
  VolumeId volume;
  ReplicaId from, to;
  Epoch epoch;              // the fence: of the sender's assignment
  std::uint64_t session = 0;  // counter of the session (epoch, session)
  EndpointVersion endpoint;
};

// Primary to replica: opens session (envelope.epoch, envelope.session).
struct Hello {
  Incarnation incarnation;
  ProcessStart process_start;
  Instant sent_at;  // echoed by the answer; a grant runs from here
};

// Replica to primary. `facts` outlives the step only: copy what is kept.
struct HelloReply {
  const ReplicaFacts* facts = nullptr;
  Instant echo;
};

// The session's plan, as the primary decided it.
struct StartStream {   // attach live or catch-up: records from `from` follow
  Lsn from;
  std::uint64_t chain_before = 0;  // chain after from - 1: must equal the replica's
  Lsn head;  // the primary's at this handshake: a barrier there makes the replica intact again
};
struct Rewind {        // durable, then the replica asks for a new handshake by RewindDone
  Lsn to;
};
struct RewindDone {
  Lsn written;
};

// A record on the one ordered stream. Payload (if any) is in `slot`; the block CRCs travel with it.
// Of a lost record `slot` holds its CRCs and nothing else (node/runtime/lost_record.h).
struct Append {
  RecordHeader header;
  Slot slot = no_slot;
  std::optional<Lsn> committed, stable;
  Instant sent_at;
};

struct Ack {
  Lsn written, durable;
  Lsn applied;
  Instant echo;  // sent_at of the newest message this answers
};

enum class NackReason : std::uint8_t { gap = 1, divergence = 2, log_failed = 3, log_full = 4,
                                       stale = 5, refused = 6, wrong_incarnation = 7, marker = 8,
                                       unrepaired = 9,  // records that its primary cannot give
                                       broken_contract = 10 };  // below trimmed, out of bounds
struct Nack {
  NackReason reason = NackReason::refused;
  Lsn expected;
  Epoch promised;  // tells a stale primary by whom it was fenced
};

struct Barrier {
  std::uint64_t id = 0;
  Lsn target;
  Instant sent_at;
};
struct BarrierDone {
  std::uint64_t id = 0;
  bool ok = false;
  Lsn durable;
  Instant echo;
};

struct Heartbeat {
  std::optional<Lsn> committed, stable;
  Lsn fold_limit;  // greatest `applied` known on this lineage; proves stability in every epoch
  Instant sent_at;
};
struct HeartbeatReply {
  Lsn written, durable, applied;
  Instant echo;
};

// Rebuild. Log lane = the stream from cut + 1 on the same session. Base lane: the source asks for
// the replica's map, range by range, and sends the columns that differ.
struct StartRebuild {
  Lsn cut;                      // the source's frozen `applied`
  Term cut_term;
  std::uint64_t cut_chain = 0;  // chain at the cut
  TermTable const* terms = nullptr;  // terms at or below the cut; outlives the step only
  std::uint64_t extents_total = 0;   // mapped in the source's base
  Lsn head;                          // as in StartStream
};
// Comes right before StartRebuild: the request tables as of the cut, by which the replica answers
// what was resent although its log no longer holds it. Outlives the step only.
struct BaseRequests {
  const RequestTables* tables = nullptr;
};
struct RebuildReady {  // marker durable, log forgotten
  Lsn cut;
  std::optional<Lsn> start;  // the marker's: what its base certainly held when the first one began
};
// Source to replica: your extents that begin at or after `from`, as far as fits one answer.
struct AskBaseMap {
  Lba from;
  std::optional<Lsn>
      since;  // delta: what neither side changed after it is equal; none: all of them
};
// All extents of the replica in [from, upto) that its entries name and that changed after `since`.
// `slot` holds a line for each (node/runtime/base_map); no_slot: none.
struct BaseMap {
  Lba from, upto;            // upto at or beyond the volume's end: the last one
  std::uint32_t lines = 0;
  Slot slot = no_slot;
};
// One extent of the base at the cut that differs. 64 KiB at most 256 KiB; `slot` holds its present
// blocks in order. It replaces what the replica has, entry and all.
struct BaseBlocks {
  std::uint64_t sequence = 0;  // 1, 2, 3 ...: gaps are noticed by count
  Lba lba;                     // first block of the extent
  Lsn last_lsn;                // the record that last changed it; 0: the source has no entry
  std::uint64_t present = 0;   // bit i: block i is in the payload
  Slot slot = no_slot;         // no_slot: a hole
};
struct BaseAck {
  std::uint64_t sequence = 0;  // all up to here are in the base
};
struct BaseEnd {
  std::uint64_t count = 0;   // BaseBlocks sent
  std::uint64_t digest = 0;  // over (lba, last_lsn, present, CRCs) of each, in order
  std::uint64_t compared = 0;    // entries of the source that changed after `since` ...
  std::uint64_t map_digest = 0;  // ... and what they say, in order
};
struct RebuildComplete {  // replica: base complete, log contiguous and durable to `durable`
  std::uint64_t count = 0;   // of its own entries as they are now: must be what the source compared
  std::uint64_t digest = 0;
  Lsn durable;
  std::uint64_t requests = 0;  // digest of the request tables, as its disk gave them back
};
struct RebuildAccepted {  // primary: the marker may go
  Lsn required;           // cut and floor: the log is durable up to here
};
struct MarkerCleared {};  // replica: the marker is gone, durably; it counts from now on

// Damage. Either side of a session asks the other one for the payload of a record that both may
// have: named by (term, lsn, chain), so that no other history can answer.
struct FetchRecord {
  RecordHeader header;
  bool to_primary = false;  // whom it is for: the roles of one node read different words
};
enum class FetchResult : std::uint8_t {
  found = 1,  // `slot` holds bytes that fit the record's digest
  lost = 2,   // it carries the flag: every member has been asked, or an operator has spoken
  none = 3,   // not here: never held, gone from the log, or unreadable as well
  busy = 4,   // ask again
};
struct RecordPayload {
  RecordHeader header;
  FetchResult result = FetchResult::none;
  bool to_primary = false;
  Slot slot = no_slot;
};
// Either side of a session: these blocks as they read there. The asker takes what fits its own
// CRCs.
struct FetchBlocks {
  std::uint64_t id = 0;
  Lba lba;
  BlockCount blocks;
  bool to_primary = false;
};
struct BlocksPayload {
  std::uint64_t id = 0;
  Slot slot = no_slot;  // no_slot: unreadable there, too
  bool to_primary = true;
};

using PeerMessage =
    std::variant<Hello, HelloReply, StartStream, Rewind, RewindDone, Append, Ack, Nack, Barrier,
                 BarrierDone, Heartbeat, HeartbeatReply, StartRebuild, RebuildReady, AskBaseMap,
                 BaseMap, BaseBlocks, BaseAck, BaseEnd, RebuildComplete, RebuildAccepted,
                 MarkerCleared, BaseRequests, FetchRecord, RecordPayload, FetchBlocks,
                 BlocksPayload>;

// The payload that travels with it, lent to the receiver.
inline Slot payload_slot(const PeerMessage& message) {
  if (const auto* append = std::get_if<Append>(&message)) return append->slot;
  if (const auto* base = std::get_if<BaseBlocks>(&message)) return base->slot;
  if (const auto* map = std::get_if<BaseMap>(&message)) return map->slot;
  if (const auto* record = std::get_if<RecordPayload>(&message)) return record->slot;
  if (const auto* blocks = std::get_if<BlocksPayload>(&message)) return blocks->slot;
  return no_slot;
}

}  // namespace seawall::message
