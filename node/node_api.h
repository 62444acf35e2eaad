// The seam between a node's data plane (shards) and its control edge (gRPC threads).
//
// Purpose: the control edge codes against NodeDaemon and never sees a shard; the daemon codes
// against ControlEdge and never sees gRPC. main.cc makes the edge, then the daemon with it, then
// starts both. Threads: every call of NodeDaemon may come from any thread and never blocks: it
// posts to the bounded mailbox of the shard that owns the volume. Callbacks run on a shard's
// thread: they must not block, and may post again. ControlEdge::send() is called from shard
// threads. Ownership: values are copied or moved; the edge outlives the daemon's shards.
// Errors: an Outcome with a code and a sentence; a full mailbox answers Errc::busy at once.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "engine/base/error.h"
#include "engine/base/ids.h"
#include "engine/base/result.h"
#include "engine/control.h"
#include "node/runtime/control_port.h"

namespace seawall::node {

enum class FrontendKind : std::uint8_t { nbd = 1 };

struct AttachRequest {
  control::AttachmentView view;    // volume, generation, epoch and where the replicas are
  FrontendKind kind = FrontendKind::nbd;
  std::string socket_path;         // unix socket to serve on; several volumes may share one
  std::string export_name;         // empty: the volume's name
  // Only if it is served here already, by this generation on this socket: then its socket file is
  // made anew, should it be gone. Of `view` volume and attachment are asked for, nothing else.
  bool served_already = false;
};

struct Outcome {
  Errc code = Errc::ok;
  std::string message;             // a sentence when code is not ok
  bool ok() const { return code == Errc::ok; }
};

struct Attached {
  Outcome outcome;
  std::string device;              // e.g. nbd+unix:///name?socket=/run/x.sock
};

struct LossAccepted {
  VolumeId volume;
  std::string who, why;            // into this node's log
};

struct LossOutcome {
  Outcome outcome;
  std::uint64_t records = 0;       // that were missing when it was said
};

struct FrontendStatus {
  VolumeId volume;
  std::string volume_name;
  AttachmentId attachment;
  Epoch epoch;                     // of the primary that is or was last connected
  FrontendKind kind = FrontendKind::nbd;
  std::string device;
  bool connected = false;          // to a primary
  std::uint64_t clients = 0;       // connections of block clients
  std::uint64_t held = 0;          // requests that wait for a primary or an answer
  std::string reason;
};

struct NodeStatus {
  NodeId node;
  std::string name;
  std::string pool_id;             // 32 hexadecimal digits
  std::string data_address;
  std::uint64_t boot_hi = 0, boot_lo = 0;
  ProcessStart process_start;
  std::uint64_t pool_bytes = 0, pool_free_bytes = 0;
  std::uint32_t shards = 0;
  bool ready = false;              // every replica of the pool is open, or failed and says so
  std::vector<ReplicaStatus> replicas;   // sorted by volume, replica
  std::vector<FrontendStatus> frontends;
};

// The data plane of one node: shards, pool, transport, front ends.
class NodeDaemon {
 public:
  virtual ~NodeDaemon() = default;

  // A message of the controller, in its order for one volume. Errc::busy when the mailbox is full:
  // the edge drops its connection and registers anew, nothing is half-delivered.
  virtual Status post(const control::ToNode& message) = 0;

  // Starts to serve an attachment; done when the socket accepts clients (the primary may still be
  // on its way: I/O is held meanwhile). A second attach of a served volume is refused, one with the
  // same generation and socket is answered as done.
  virtual void attach(AttachRequest request, std::function<void(Attached)> done) = 0;
  // Ends an attachment: no new requests, what is in flight gets EIO after a bounded drain.
  virtual void detach(VolumeId volume, AttachmentId attachment,
                      std::function<void(Outcome)> done) = 0;
  // An operator's word to the primary of a volume: what no replica that is there can give is lost.
  virtual void accept_loss(LossAccepted word, std::function<void(LossOutcome)> done) = 0;
  // The state of all shards, each taken at one moment of its loop.
  virtual void status(std::function<void(NodeStatus)> done) = 0;
};

// The control edge: the stream to the controller and the node's local gRPC.
//
// send() hands over what a shard has to say; it never blocks, and drops everything while there is
// no connection. Register (on each new connection) and Heartbeat (every 250 ms) are made by the
// edge itself from NodeDaemon::status(); the daemon does not pass on those two kinds from its
// shards.
class ControlEdge : public control::ControlPort {
 public:
  // Begins to dial and to serve. The daemon outlives stop().
  virtual Status start(NodeDaemon& daemon) = 0;
  // Joins its threads; after it no call of the daemon comes any more. send() stays legal.
  virtual void stop() = 0;
};

struct ControlEdgeOptions {
  NodeId node;
  std::string name;
  std::string controller;          // host:port; empty: no controller (tests)
  std::string control_socket;      // path of the unix socket for the local gRPC
  std::string data_address;        // the daemon dials its controller from this host
  std::string http_address;        // empty: none
};

// Implemented in node/control_edge.cc.
Result<std::unique_ptr<ControlEdge>> make_control_edge(const ControlEdgeOptions& options);

}  // namespace seawall::node
