// Oracle: what must hold across the whole cluster, judged from the stores and from what clients
// were told, never from what an engine believes.
//
// Checked: (term, lsn) names one record for ever; an acknowledged record is on the set that the
// configuration demands; a flush covers what completed before it; whoever serves holds what was
// completed; nothing leaves a primary after a newer epoch has answered; no answer below a promise;
// only what is durable on the required set may be folded. Thread: the test's.
#pragma once

#include "tests/script/cluster.h"

namespace seawall::script {

void note_record(Cluster& cluster, const RecordHeader& header);
void check_sent(Cluster& cluster, Node& node, const Packet& packet);
void check_fold_limit(Cluster& cluster, Node& node, Lsn upto);
void check_completion(Cluster& cluster, Node& node, const ClientRequest& request,
                      const ClientDone& done, const Stamps& data);
void ask_oracle(Cluster& cluster, Node& node);

// Members of the required set of `config` that hold (term, lsn), durably if asked.
bool held_by_required(Cluster& cluster, const Configuration& config, const Position& at,
                      std::uint64_t chain, bool durable);

}  // namespace seawall::script
