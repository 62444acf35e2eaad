// What a watcher that comes back is told: a pure function of what the store holds.
//
// Purpose: a claim is the newest change whose effect the watcher has stored. The answer is one of
// five, the same from every controller and after every restart, whatever was acknowledged before.
// Thread: any. Errors: none, every claim has an answer.
#pragma once

#include <cstdint>
#include <optional>

#include "controller/core/record.h"
#include "controller/store/store.h"

namespace seawall::controller::stream {

enum class Verdict : std::uint8_t {
  ok = 1,         // the events from `next` on follow, none is missing
  stale = 2,      // some of what follows is compacted away: the full state comes first
  invalid = 3,    // claims what was never committed: fence, then the full state
  old_epoch = 4,  // claims that revision of an older epoch: another history, claim from nothing
  not_found = 5,  // no such volume, or one that is gone for long
};
const char* verdict_name(Verdict verdict);

struct Ruling {
  Verdict verdict = Verdict::not_found;
  Version committed;  // newest change of the volume; epoch 0, revision 0: none
  Revision next;      // first revision that follows; for `ok` only
  friend bool operator==(const Ruling&, const Ruling&) = default;
};

// `history`: of the volume's events that are held; absent: nobody knows the volume. `at_claim`: the
// epoch of the event whose revision is the claimed one, when it is held. A claim of revision 0 is
// "nothing yet".
Ruling judge(const std::optional<History>& history, const Version& claim,
             std::optional<Epoch> at_claim);

}  // namespace seawall::controller::stream
