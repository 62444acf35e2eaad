#include "controller/stream/judge.h"
#include "engine/base/mutant.h"

namespace seawall::controller::stream {

const char* verdict_name(Verdict verdict) {
  switch (verdict) {
    case Verdict::ok: return "OK";
    case Verdict::stale: return "STALE";
    case Verdict::invalid: return "INVALID";
    case Verdict::old_epoch: return "OLD_EPOCH";
    case Verdict::not_found: return "NOT_FOUND";
  }
  return "UNKNOWN";
}

Ruling judge(const std::optional<History>& history, const Version& claim,
             std::optional<Epoch> at_claim) {
  if (!history) return Ruling{};
  Ruling ruling{Verdict::ok, history->newest, Revision(claim.revision.value() + 1)};
  const Revision newest = history->newest.revision;
  if (claim.revision.value() == 0) {
    if (history->oldest.value() != 1) ruling.verdict = Verdict::stale;
  } else if (newest < claim.revision) {
    // Against the last commit, never the last acknowledgement: an ack may have been lost.
    ruling.verdict = Verdict::invalid;
  } else if (claim.revision < history->oldest) {
    ruling.verdict = MUTANT(M72) ? Verdict::ok : Verdict::stale;
  } else if (at_claim && *at_claim < claim.epoch) {
    ruling.verdict = Verdict::invalid;
  } else if (at_claim && claim.epoch < *at_claim) {
    ruling.verdict = Verdict::old_epoch;
  }
  if (ruling.verdict != Verdict::ok) ruling.next = Revision(0);
  return ruling;
}

}  // namespace seawall::controller::stream
