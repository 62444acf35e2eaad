// What a client (the front end on the pod's node) asks of a primary, and what it is told.
#pragma once

#include <cstdint>
#include <optional>

#include "engine/base/ids.h"

namespace seawall {

enum class ClientOp : std::uint8_t {
  read = 1, write = 2, flush = 3, discard = 4, write_zeroes = 5
};

struct ClientRequest {
  ClientOp op = ClientOp::read;
  bool fua = false;
  AttachmentId attachment;
  ConnectionNumber connection;
  RequestNumber request;
  // Every request of this attachment below it is finished. A request at or beyond
  // low_mark + limits::request_table_max is answered busy: the table of requests is bounded.
  RequestNumber low_mark;
  Lba lba;
  BlockCount blocks;
  Slot slot = no_slot;               // write: the payload; read: no_slot (the executor takes one)
  std::uint64_t payload_digest = 0;  // write: digest_crcs() of the payload, by the executor
};

// Why a request was not served. `moved` and `waiting` kinds are retried by the front end, the
// others reach the client as an I/O error.
enum class ClientStatus : std::uint8_t {
  ok = 0,
  not_primary = 1,     // retry elsewhere: `hint` names the primary of the greatest epoch known
  not_serving = 2,     // retry here or elsewhere: promotion or lease under way
  detached = 3,        // final: this attachment was revoked
  io_error = 4,        // final: the data cannot be had, or the outcome is unknown
  no_space = 5,
  out_of_range = 6,
  position_lost = 7,   // final: the new log lacks what this attachment has seen
  stale_connection = 8,  // an older connection of the attachment: ended
  below_low_mark = 9,  // final: a request that was finished long ago
  busy = 10,           // queue full: retry later
};

struct ClientDone {
  AttachmentId attachment;
  ConnectionNumber connection;
  RequestNumber request;
  ClientStatus status = ClientStatus::ok;
  Epoch epoch;
  Position seen;  // newest record whose completion or data this answer shows
  Slot slot = no_slot;  // read: the data
};

// Opens a connection of an attachment to a primary. Ends every connection with a lower number.
struct ClientAttach {
  VolumeId volume;
  Incarnation incarnation;
  AttachmentId attachment;
  ConnectionNumber connection;
  std::optional<Position> seen;  // the attachment's position, proved before anything is served
  Epoch proved_by;               // the last epoch that proved it
};

struct ClientAttachReply {
  ClientStatus status = ClientStatus::ok;
  Epoch epoch;
  Epoch known_epoch;            // greatest assignment known here, and its primary: the hint
  ReplicaId known_primary;
  BlockCount size;
};

}  // namespace seawall
