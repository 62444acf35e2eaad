// What users ask of the controller, and what it answers: plain values.
//
// Every request carries an operation id (any unique text); asked again with the same one, also
// after the answer was lost or the controller died, a request finds what it has done already.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "controller/core/record.h"
#include "controller/core/refusal.h"
#include "node/runtime/control_port.h"

namespace seawall::controller {

// As the user wrote it; validate.h turns it into a VolumeSpec or a Refusal.
struct CreateVolume {
  std::string operation;
  std::string name;
  std::uint64_t size_bytes = 0;
  std::uint32_t replicas = 0;   // 0: 3, or as many as there are nodes
  std::string policy;           // quorum, in-sync, all, best-effort; empty: by the count
  std::string write_cache;      // writeback, none; empty: writeback
  std::uint64_t log_bytes = 0;  // 0: by the size
  std::optional<std::uint32_t> min_in_sync;
  std::uint64_t io_timeout_ms = 0;  // 0: 30 s
  // Random, drawn by the edge: the core draws nothing.
  VolumeId fresh_id;
  Incarnation fresh_incarnation;
};

struct DeleteVolume {
  std::string operation;
  std::string name;
};

struct AttachVolume {
  std::string operation;
  std::string volume;
  std::string node;  // name, or `node_id`
  NodeId node_id;
};

struct DetachVolume {
  std::string operation;
  std::string volume;
  std::string node;  // name, or `node_id`, or whoever holds it
  NodeId node_id;
  AttachmentId generation;  // 0: the present one
  bool force = false;
};

// Wishes for another configuration: what is left out stays as it is. Answered when the wish is
// committed; the volume takes its steps afterwards, under its clients.
struct ChangeVolume {
  std::string operation;
  std::string volume;
  std::optional<std::uint32_t> replicas;
  std::string policy;       // as in CreateVolume; empty: as it is
  std::string write_cache;  // writeback, none; empty: as it is
  std::optional<std::uint32_t> min_in_sync;
  std::string replace;      // node name: its replica gives way to a new one, on ...
  std::string to;           // ... this node; empty: where placement says
  std::string remove;       // node name: its replica goes, nothing replaces it
  bool cancel = false;      // the wish goes, what is in force stays
  std::string retry;        // node name: its replica was given up, and is to be tried again
};

// The replica on that node becomes the primary; its volume is not interrupted by more than a
// moment.
struct MoveVolume {
  std::string operation;
  std::string volume;
  std::string node;  // name, or `node_id`
  NodeId node_id;
};

// When no promotion is allowed: these nodes' replicas are the members from now on.
struct ForceVolume {
  std::string operation;
  std::string volume;
  std::vector<std::string> nodes;  // names
  std::string who, why;
  bool old_primary_stopped = false;
  std::uint64_t asked_ms = 0;  // Unix time, by the edge: the core has no such clock
};

using Request = std::variant<CreateVolume, DeleteVolume, AttachVolume, DetachVolume, ChangeVolume,
                             MoveVolume, ForceVolume>;

struct Answer {
  std::optional<Refusal> refusal;  // set: nothing else is
  std::optional<VolumeId> volume;
  bool existed = true;                          // DeleteVolume
  AttachmentId generation;                      // AttachVolume
  std::optional<control::AttachmentView> view;  // AttachVolume
};

}  // namespace seawall::controller
