// Messages as frames: one encode and one decode function a type, field by field.
//
// A frame's header carries volume, epoch, session (or connection number) and sequence (or request
// number); the meta part carries the CRCs of the payload's blocks, then the rest of the envelope,
// then the message. Payload bytes stay in their slot and are never touched here.
// Thread: any. Ownership: an encoded Frame borrows the meta buffer and the slot; a decoded message
// borrows the scratch (facts, term tables) and the frame's slot, whose reference stays with the
// receiver. Errors: a decode function answers corrupt, too_large or refused for anything that is
// not exactly one well-formed message within its caps; it never reads beyond the frame.
// The caller has admitted the frame (wire_header.h): header, meta and payload CRCs fit.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "engine/base/result.h"
#include "engine/client.h"
#include "engine/message.h"
#include "node/runtime/buffer_pool.h"
#include "node/runtime/frame.h"

namespace seawall::runtime {

using MetaBuffer = std::array<std::byte, frame_meta_max>;

// Where the pointers of a decoded message lead.
struct DecodeScratch {
  ReplicaFacts facts;
  TermTable terms;
  RequestTables requests;
};

// A front end that lost its primary asks anybody who holds the volume.
struct WhoIsPrimary {
  VolumeId volume;
  Incarnation incarnation;
  friend constexpr bool operator==(const WhoIsPrimary&, const WhoIsPrimary&) = default;
};
// The greatest assignment that the answering node knows; nullopt: none.
struct PrimaryIs {
  VolumeId volume;
  Epoch epoch;
  std::optional<ReplicaId> primary;
  bool serving_here = false;  // it is on this node and serves
  friend constexpr bool operator==(const PrimaryIs&, const PrimaryIs&) = default;
};

struct PeerFrame {
  message::Envelope envelope;
  message::PeerMessage message;
};

// header.sequence is the link's business: the caller fills it.
Frame encode(const message::Envelope& envelope, const message::PeerMessage& message,
             const BufferPool& pool, MetaBuffer& meta);
Result<PeerFrame> decode_peer(const Frame& frame, const BufferPool& pool, DecodeScratch& scratch);

Frame encode(const ClientAttach& attach, MetaBuffer& meta);
Frame encode(VolumeId volume, const ClientAttachReply& reply, ConnectionNumber connection,
             MetaBuffer& meta);
Frame encode(VolumeId volume, const ClientRequest& request, const BufferPool& pool,
             MetaBuffer& meta);
Frame encode(VolumeId volume, const ClientDone& done, const BufferPool& pool, MetaBuffer& meta);
Frame encode(const WhoIsPrimary& question, MetaBuffer& meta);
Frame encode(const PrimaryIs& answer, MetaBuffer& meta);

Result<ClientAttach> decode_client_attach(const Frame& frame);
Result<ClientAttachReply> decode_client_attach_reply(const Frame& frame);
Result<ClientRequest> decode_client_request(const Frame& frame, const BufferPool& pool);
Result<ClientDone> decode_client_done(const Frame& frame);
Result<WhoIsPrimary> decode_who_is_primary(const Frame& frame);
Result<PrimaryIs> decode_primary_is(const Frame& frame);

}  // namespace seawall::runtime
