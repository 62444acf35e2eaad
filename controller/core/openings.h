// Openings: is this the replica that we knew, or an older copy of its files?
//
// Every opening of a store has a random name and says what it found: the generation of its super
// block, the name of the opening before, the end of its log. Whatever a replica has once said of
// itself it must find at its next opening. One that finds less has been restored from a copy, or
// its disk has lost what it had flushed: it may be brought up to date like any replica that was
// away, but until the primary has proved it its word counts in no election (F28). Doubt outlives
// further openings, and the controller (as the replica's trouble in its record).
// Pure, but for what is noted in ReplicaSeen. Thread: Core's. Errors: none.
#pragma once

#include <optional>

#include "controller/core/plan.h"

namespace seawall::controller {

// Less than what was told, or what another opening made of it.
bool is_older(const OpeningTold& told, const Opening& opening);

// Takes note of what a replica says of its opening; whatever comes twice or late changes nothing.
void hear_opening(const ReplicaRecord& record, ReplicaSeen& seen, const ReplicaStatus& status);
// The primary in office says who is in sync, and in which opening: their word counts again.
void hear_proofs(const VolumeRecord& record, VolumeSeen& seen, const ReplicaStatus& primary);

// May this replica's word be counted?
bool is_doubted(const ReplicaRecord& record, const ReplicaSeen* seen);
// May this report, of a replica that has said which opening it is?
bool is_doubted(const ReplicaRecord& record, const ReplicaSeen& seen, const FenceReport& report);

inline constexpr const char* older_copy_trouble = "older_copy,escalate,1";
// The record with new doubts; nullopt: none.
std::optional<Change> plan_doubts(const VolumeRecord& record, const VolumeSeen& seen);
// What has been told so far goes into the record with the next change that is made anyway: so a
// controller that starts anew knows it as of then.
void remember_openings(VolumeRecord& record, const VolumeSeen& seen);

}  // namespace seawall::controller
