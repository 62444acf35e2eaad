// The reconciler: from one volume's record and what was heard, the next step. A pure function.
//
// Level-triggered: it looks at what is, not at what has just happened, so that a lost, doubled or
// late message and a controller that died between any two steps all end in the same place. At most
// one change of the record a step; deliveries are idempotent and repeated until they show their
// effect. The failover of protocol.md section 5 is the path: a reason -> pending epoch committed ->
// Fence to every member -> reports of that epoch -> decide_promotion -> assignment committed ->
// Assign to all.
// Errors: none; what cannot go on says why in Plan::waiting.
#pragma once

#include <optional>
#include <vector>

#include "controller/core/observed.h"
#include "controller/core/record.h"
#include "node/runtime/control_port.h"

namespace seawall::controller {

// A wanted change of the record. `next` absent: the record goes.
struct Change {
  std::optional<VolumeRecord> next;
  ChangeEvent event;
};

struct Delivery {
  NodeId node;
  control::ToNode message;
  std::optional<ReplicaId> replica;        // marks ReplicaSeen::sent
  std::optional<AttachmentId> attachment;  // marks VolumeSeen::views
};

struct Plan {
  std::optional<Change> change;
  std::vector<Delivery> deliveries;
  bool proposal_answered = false;
  bool reports_enough = false;  // the choice waits for better reports
  bool suspects = false;        // the primary is silent: its replicas are asked
  std::string order_failed;     // `change` ends a move or a force that came to nothing
  const char* waiting = "";     // what the volume waits for; empty: nothing
};

Plan plan_volume(const VolumeRecord& record, const VolumeSeen& seen, const NodesSeen& nodes,
                 Instant now, const Options& options);

// A replica has seen a record that the store does not hold: this one promotes nobody.
bool is_outdated(const VolumeRecord& record, const VolumeSeen& seen);

// The pieces, for requests.cc and tests.
Change make_change(VolumeRecord next, const char* type, std::string fields);  // raises the revision
VolumeRecord with_pending_epoch(VolumeRecord record);
Delivery make_create(const VolumeRecord& record, const ReplicaRecord& replica);
// Making and deleting take their time on a node: they are asked again this much later.
Duration slow_resend(const Options& options);
// Takes out of `replicas` those whose files are gone.
void erase_deleted(std::vector<ReplicaRecord>& replicas, const VolumeSeen& seen);
// Asks the nodes of `going` to delete their files, as far as it is time to.
void deliver_deletes(const VolumeRecord& record, const std::vector<ReplicaRecord>& going,
                     const VolumeSeen& seen, const NodesSeen& nodes, Instant now,
                     const Options& options, Plan& plan);
control::Assign make_assign(const VolumeRecord& record);
control::AttachmentView make_view(const VolumeRecord& record, const AttachmentRecord& attachment);
std::uint64_t operation_of(const VolumeRecord& record, ReplicaId replica, bool creates);

// The primary's own word of this session that it serves `epoch` and has taken `revision` or a later
// one.
bool is_acknowledged(const VolumeRecord& record, const VolumeSeen& seen, const NodesSeen& nodes,
                     Revision revision);

enum class Verdict : std::uint8_t { accept, done_already, refuse };
Verdict judge_proposal(const VolumeRecord& record, const ConfigProposal& proposal, ReplicaId from);

}  // namespace seawall::controller
