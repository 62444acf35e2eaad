// Waiting for what NodeDaemon answers by callback, and the words of its structs in control.proto.
//
// Thread: any but a shard's. A callback that comes too late is dropped with its own state.
#pragma once

#include <chrono>
#include <optional>

#include "node/node_api.h"
#include "proto/control.pb.h"

namespace seawall::node {

// nullopt: the daemon did not answer in time.
std::optional<NodeStatus> wait_status(NodeDaemon& daemon, std::chrono::milliseconds timeout);
std::optional<Attached> wait_attach(NodeDaemon& daemon, AttachRequest request,
                                    std::chrono::milliseconds timeout);
std::optional<Outcome> wait_detach(NodeDaemon& daemon, VolumeId volume, AttachmentId attachment,
                                   std::chrono::milliseconds timeout);

std::optional<LossOutcome> wait_accept_loss(NodeDaemon& daemon, LossAccepted word,
                                            std::chrono::milliseconds timeout);

void to_proto(const FrontendStatus& in, v1::LocalAttachment& out);

}  // namespace seawall::node
