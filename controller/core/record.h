// What the controller remembers: volume records, node records and the events of their changes.
//
// Purpose: the whole durable state. Every decision is made from these values and from what living
// nodes say; a controller that was killed starts again from the store and nothing else.
// Life cycle: plain values; a record changes only by a compare-and-set on its Version in the store.
// Invariants: `revision` rises by one with every change; no epoch is ever given twice; a committed
// pending epoch stays until an assignment of it is committed; replicas are sorted by id.
// Units: sizes in blocks or bytes as named; time-outs in milliseconds. Thread: any, they are
// values.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "controller/core/orders.h"
#include "engine/control.h"

namespace seawall::controller {

enum class VolumeState : std::uint8_t {
  creating = 1,  // replicas are being made; nobody can use it
  ready = 2,
  deleting = 3,  // its name is free again; replicas go as their nodes can be reached
};

// Total order of everything that was ever committed for one volume. The epoch is the greatest that
// was given, a pending one included.
struct Version {
  Epoch epoch;
  Revision revision;
  friend constexpr auto operator<=>(const Version&, const Version&) = default;
};

// The last that a replica said of its store, in an opening that nobody doubts (openings.h).
struct OpeningTold {
  ProcessStart start;
  std::uint64_t generation = 0;  // 0: nothing yet
  Lsn written, durable;
  friend bool operator==(const OpeningTold&, const OpeningTold&) = default;
};

struct ReplicaRecord {
  ReplicaId id;
  NodeId node;
  EndpointVersion endpoint;  // rises when the address changes
  std::string address;
  std::uint32_t word = 0;    // rises with each operator's word to try it again
  std::string trouble;       // "kind,escalate,nth", "kind,terminal,nth"; empty: none (troubles.h)
  OpeningTold told;          // as of the last change of the record
  friend bool operator==(const ReplicaRecord&, const ReplicaRecord&) = default;
};

struct AttachmentRecord {
  AttachmentId generation;
  NodeId node;
  ProcessStart node_start;  // the daemon's process that it was minted for
  friend bool operator==(const AttachmentRecord&, const AttachmentRecord&) = default;
};

struct VolumeRecord {
  std::string name;
  VolumeId id;
  Incarnation incarnation;
  VolumeState state = VolumeState::creating;
  std::string create_operation;  // of the request that made it: a repeated one finds it by this
  std::string reason;            // why it is being deleted, when nobody asked for that

  Epoch epoch;                   // of the newest assignment; 0: none yet
  std::optional<Epoch> pending;  // committed, not yet an assignment
  Revision revision;

  Configuration config;
  // Asked for and not yet in force; its in-sync set is empty. The primary proposes the steps.
  std::optional<Configuration> wish;
  std::string change_operation;  // of the last change that was asked for
  std::string retry_operation;   // of the last word to try a replica again
  BlockCount size;
  std::uint64_t log_bytes = 0;
  std::uint64_t io_timeout_ms = 0;
  std::vector<ReplicaRecord> replicas;  // members and newcomers of the wish
  std::vector<ReplicaRecord> retired;   // no longer either: their files go, then they do
  std::uint32_t replicas_made = 0;      // ids that were ever given

  // The assignment of `epoch`.
  ReplicaId primary;
  ProcessStart winner_start;        // as the winner's fence report said
  ProcessStart primary_node_start;  // as its node's registration said
  Position winner_position;
  bool after_power_loss = false;

  AttachmentId last_generation;  // greatest ever given
  std::vector<AttachmentRecord> attachments;
  std::string detach_operation;  // of the last detach: a repeated one finds it done

  std::optional<MoveOrder> move;       // under way
  std::optional<ForceOrder> force;     // asked, not yet an assignment
  std::optional<ForceOutcome> forced;  // the last one
  // No members since a force: they keep their files, which may be the only copy of what was lost.
  std::vector<ReplicaRecord> left_out;

  friend bool operator==(const VolumeRecord&, const VolumeRecord&) = default;

  [[nodiscard]] Epoch greatest_epoch() const { return pending ? std::max(*pending, epoch) : epoch; }
  [[nodiscard]] Version version() const { return Version{greatest_epoch(), revision}; }
  [[nodiscard]] const ReplicaRecord* replica(ReplicaId wanted) const {
    for (const ReplicaRecord& each : replicas) {
      if (each.id == wanted) return &each;
    }
    return nullptr;
  }
  [[nodiscard]] const ReplicaRecord* retired_replica(ReplicaId wanted) const {
    for (const ReplicaRecord& each : retired) {
      if (each.id == wanted) return &each;
    }
    return nullptr;
  }
  [[nodiscard]] bool is_member(ReplicaId wanted) const { return config.members.contains(wanted); }
};

// What is known of a node when it is silent. Never an input to a promotion.
struct NodeRecord {
  NodeId id;
  std::string name;
  std::string pool_id;
  std::string data_address;
  std::string http_address;
  ProcessStart process_start;
  std::uint64_t pool_bytes = 0;
  friend bool operator==(const NodeRecord&, const NodeRecord&) = default;
};

// One line of a volume's history, committed together with the change that it tells of.
struct ChangeEvent {
  VolumeId volume;
  Epoch epoch;
  Revision revision;
  std::string type;    // created, ready, fencing, assigned, configured, attached ...
  std::string fields;  // what it changed, as controller/core/fields.h writes it
  friend bool operator==(const ChangeEvent&, const ChangeEvent&) = default;
};

}  // namespace seawall::controller
