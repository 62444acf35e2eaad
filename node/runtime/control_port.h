// Between a node's runtime and the controller: values both ways. The production edge carries them
// over gRPC (proto/control.proto), the simulator over its own network.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "engine/control.h"

namespace seawall::control {

struct ReplicaAddress {
  ReplicaId replica; NodeId node; EndpointVersion version; std::string address;
};

// --- controller to node ---
struct CreateReplica {
  std::uint64_t operation = 0;  // idempotent by it
  VolumeId volume; std::string volume_name; Incarnation incarnation; ReplicaId replica;
  BlockCount size; std::uint64_t log_bytes = 0; std::uint32_t extent_bytes = 65536;
};
struct DeleteReplica { std::uint64_t operation = 0; VolumeId volume; ReplicaId replica; };
struct Assign {
  Assignment assignment; std::string volume_name; std::vector<ReplicaAddress> addresses;
};
struct Fence { FenceRequest request; };
struct Refuse { ConfigRefusal refusal; };
// Tells a node with an attachment where the replicas are (also sent when that changes).
struct AttachmentView {
  VolumeId volume; std::string volume_name; Incarnation incarnation; AttachmentId attachment;
  Epoch epoch; Revision revision; ReplicaId primary; BlockCount size;
  std::uint64_t io_timeout_ms = 0;
  std::vector<ReplicaAddress> addresses; bool revoked = false;
  // The daemon's process that this generation was minted for: requests are numbered within it, so
  // no other process may use it. 0: the user is no daemon.
  ProcessStart holder_start;
};
// Says how things are at once: answered by a Heartbeat.
struct Probe { VolumeId volume; };
using ToNode =
    std::variant<CreateReplica, DeleteReplica, Assign, Fence, Refuse, AttachmentView, Probe>;

// --- node to controller ---
struct Register {
  NodeId node; std::string name; std::string pool_id; std::string data_address;
  std::string http_address; std::uint64_t boot_hi = 0, boot_lo = 0; ProcessStart process_start;
  std::uint64_t pool_bytes = 0, pool_free_bytes = 0;
  std::vector<ReplicaStatus> replicas;  // every replica the pool holds
};
struct Heartbeat { NodeId node; std::uint64_t sequence = 0; std::uint64_t pool_free_bytes = 0;
                   std::vector<ReplicaStatus> replicas; };
struct Fenced { FenceReport report; ReplicaId replica; };
struct FenceRefused { VolumeId volume; ReplicaId replica; Epoch promised; };
struct ReplicaCreated { std::uint64_t operation = 0; VolumeId volume; ReplicaId replica;
                        bool ok = false; std::string error; };
struct ReplicaDeleted {
  std::uint64_t operation = 0; VolumeId volume; ReplicaId replica; bool ok = false;
};
struct Proposed { ConfigProposal proposal; ReplicaId from; };
struct FailoverWanted { VolumeId volume; ReplicaId from; Epoch epoch; std::string reason; };
struct AssignRefused { VolumeId volume; ReplicaId from; Epoch epoch; std::string reason; };
using FromNode = std::variant<Register, Heartbeat, Fenced, FenceRefused, ReplicaCreated,
                              ReplicaDeleted, Proposed, FailoverWanted, AssignRefused>;

// The node's way to its controller. Loses everything queued when the connection ends; the node then
// registers anew. Never blocks.
class ControlPort {
 public:
  virtual ~ControlPort() = default;
  virtual void send(const FromNode& message) = 0;
};

}  // namespace seawall::control
