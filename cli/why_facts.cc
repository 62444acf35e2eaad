// From a projection to facts and actions.
#include <fmt/format.h>

#include <algorithm>

#include "cli/size.h"
#include "cli/views.h"
#include "cli/why.h"

namespace seawall::cli {
namespace {

constexpr std::uint32_t log_tight_percent = 90;
constexpr std::uint64_t pool_tight_share = 50;  // less than 1/50 is free

std::string place(const pb::ReplicaView& replica) {
  return replica.node().empty() ? fmt::format("node {:x}", replica.node_id()) : replica.node();
}

bool counts(const pb::Volume& volume, const pb::ReplicaView& replica) {
  if (replica.state() != "in_sync" || !replica.member()) return false;
  return volume.policy() == "quorum" || replica.in_sync_member();
}

bool serves(const pb::Volume& volume) {
  return volume.serving() && volume.eligible() >= volume.required() &&
         volume.health() != "faulted";
}

std::string headline_of(const pb::Volume& volume) {
  const std::string counted =
      fmt::format("{} {} of {}, {} count", volume.policy(), volume.required(),
                  member_count(volume), volume.eligible());
  if (volume.state() != "ready") return fmt::format("it is {}", volume.state());
  if (volume.health() == "faulted") return counted + ": nobody may serve it";
  if (!serves(volume)) return counted + ": I/O waits";
  const std::uint32_t spare = volume.eligible() - volume.required();
  if (spare == 0) return counted + ": I/O is served, one more loss stops it";
  return fmt::format("{}: I/O is served, {} more {} be lost", counted, spare,
                     spare == 1 ? "copy may" : "copies may");
}

// --- the volume and its primary ---

void add_volume(const pb::Volume& volume, Explanation& why) {
  Fact fact;
  fact.code = "volume_" + why.state;
  fact.label = "volume";
  fact.message = volume.reason();
  if (fact.message.empty()) {
    fact.message = why.state == "healthy" ? "nothing is wrong" : "nobody says why";
  }
  if (volume.has_lasting_ms()) fact.for_ms = volume.lasting_ms();
  fact.facts = {{"required", volume.required()},
                {"eligible", volume.eligible()},
                {"epoch", volume.epoch()},
                {"revision", volume.revision()}};
  why.chain.push_back(std::move(fact));
}

void add_primary(const pb::Volume& volume, Explanation& why) {
  Fact fact;
  fact.label = "primary";
  fact.facts = {{"node", volume.primary_node()}, {"epoch", volume.epoch()}};
  const pb::ReplicaView* primary = nullptr;
  for (const pb::ReplicaView& replica : volume.replicas()) {
    if (volume.primary() != 0 && replica.id() == volume.primary()) primary = &replica;
  }
  const std::string epoch = fmt::format("epoch {}", volume.epoch());
  if (volume.pending_epoch() != 0) {
    fact.code = "primary_wanted";
    fact.message = fmt::format("none: epoch {} is to have one; {} ended with {}",
                               volume.pending_epoch(), epoch,
                               volume.primary_node().empty() ? "none" : volume.primary_node());
    fact.facts["pending_epoch"] = volume.pending_epoch();
  } else if (primary == nullptr) {
    fact.code = "primary_none";
    fact.message = "none has been chosen yet";
  } else if (volume.serving()) {
    fact.code = "primary_serving";
    fact.message = fmt::format("{} serves it, {}", place(*primary), epoch);
    if (volume.after_power_loss()) fact.message += ", chosen after a loss of power";
    if (primary->has_lasting_ms()) fact.for_ms = primary->lasting_ms();
  } else if (primary->role() == "promoting") {
    fact.code = "primary_promoting";
    fact.message = fmt::format("{} is about to serve it, {}: its term waits for acknowledgements",
                               place(*primary), epoch);
  } else {
    fact.code = "primary_" + primary->state();
    fact.message = fmt::format("{} was chosen for {} and does not serve{}", place(*primary), epoch,
                               primary->reason().empty() ? "" : ": " + primary->reason());
    if (primary->has_lasting_ms()) fact.for_ms = primary->lasting_ms();
  }
  why.chain.push_back(std::move(fact));
}

void add_votes(const pb::Volume& volume, Explanation& why) {
  if (volume.pending_epoch() == 0) return;
  std::uint32_t reported = 0;
  for (const pb::VoteView& vote : volume.votes()) reported += vote.counts() ? 1 : 0;
  Fact fact;
  fact.code = reported >= volume.votes_needed() ? "votes_enough" : "votes_missing";
  fact.label = "votes";
  fact.message = fmt::format("{} of the {} reports that a promotion needs are here{}", reported,
                             volume.votes_needed(),
                             volume.waiting().empty() ? "" : ": " + volume.waiting());
  fact.facts = {{"reported", reported}, {"needed", volume.votes_needed()}};
  why.chain.push_back(std::move(fact));
  for (const pb::VoteView& vote : volume.votes()) {
    Fact each;
    each.code = vote.counts() ? "vote_counts" : "vote_missing";
    each.label = "vote";
    each.message = fmt::format("{}: {}{}", vote.node(), vote.counts() ? "reported" : "missing: ",
                               vote.counts() && !vote.reason().empty() ? ", " + vote.reason()
                                                                       : vote.reason());
    each.facts = {{"node", vote.node()}, {"replica", vote.replica()}};
    why.chain.push_back(std::move(each));
  }
}

// --- the copies ---

std::string recovery_text(const pb::ReplicaView& replica) {
  if (replica.session_kind().empty() || replica.session_kind() == "none") return "";
  std::string text = fmt::format("; {}", replica.session_kind());
  if (replica.bytes_total() > 0) {
    const std::uint64_t left = std::min(replica.bytes_left(), replica.bytes_total());
    text += fmt::format(", {} % of {}", 100 * (replica.bytes_total() - left) /
                                            replica.bytes_total(),
                        human_size(replica.bytes_total()));
  }
  if (replica.has_lag()) text += fmt::format(", {} records behind", replica.lag());
  return text;
}

std::string copy_text(const pb::ReplicaView& replica) {
  const bool says_more = !replica.reason().empty() && replica.reason() != replica.state();
  const std::string reason = says_more ? ": " + replica.reason() : "";
  if (replica.state() == "in_sync") return "in sync, not yet in the in-sync set";
  if (replica.state() == "terminal") return "given up" + reason;
  if (replica.state() == "rebuilding") {
    const bool delta = replica.session_kind() == "delta";
    return (delta ? "takes what differs" : "is made anew") + reason + recovery_text(replica);
  }
  if (replica.state() == "unknown") {
    return (replica.reason().empty() ? "nothing is known of it" : replica.reason());
  }
  std::string state = replica.state();
  std::replace(state.begin(), state.end(), '_', ' ');
  return state + reason + recovery_text(replica);
}

void add_failures(const pb::ReplicaView& replica, Explanation& why) {
  for (const pb::FailureView& failure : replica.failures()) {
    Fact fact;
    fact.code = "failure_" + failure.kind();
    fact.label = "failure";
    const char* const then = failure.action() == "retry"      ? "it is tried again"
                             : failure.action() == "escalate" ? "everything is compared"
                                                              : "it was given up";
    std::string kind = failure.kind();
    std::replace(kind.begin(), kind.end(), '_', ' ');
    fact.message = fmt::format("{}: {}, {} times; {}", place(replica), kind, failure.nth(), then);
    if (failure.has_ago_ms()) fact.for_ms = failure.ago_ms();
    fact.facts = {{"node", replica.node()},
                  {"kind", failure.kind()},
                  {"action", failure.action()},
                  {"nth", failure.nth()}};
    why.chain.push_back(std::move(fact));
  }
}

void add_copy(const pb::Volume& volume, const pb::ReplicaView& replica, Explanation& why) {
  const bool leads = replica.id() == volume.primary() && volume.pending_epoch() == 0;
  const bool missing = !counts(volume, replica) && (!leads || replica.state() != "unknown");
  if (missing) {
    Fact fact;
    fact.code = "copy_" + replica.state();
    fact.label = replica.joining() ? "new copy" : "copy";
    fact.message = fmt::format("{}: {}", place(replica), copy_text(replica));
    if (replica.has_lasting_ms()) fact.for_ms = replica.lasting_ms();
    fact.facts = {{"node", replica.node()},
                  {"replica", replica.id()},
                  {"state", replica.state()},
                  {"session", replica.session_phase()},
                  {"kind", replica.session_kind()},
                  {"reason", replica.reason()},
                  {"bytes_total", replica.bytes_total()},
                  {"bytes_left", replica.bytes_left()}};
    if (replica.has_lag()) fact.facts["lag"] = replica.lag();
    why.chain.push_back(std::move(fact));
  }
  if (missing || replica.escalated()) add_failures(replica, why);
}

// --- space, and what is under way ---

bool pool_is_full(const pb::ReplicaView& replica) {
  return replica.pool_bytes() > 0 &&
         replica.pool_free_bytes() < replica.pool_bytes() / pool_tight_share;
}

void add_space(const pb::ReplicaView& replica, Explanation& why) {
  if (replica.state() == "unreachable") return;  // what is known of it is old
  if (pool_is_full(replica)) {
    Fact fact;
    fact.code = "pool_full";
    fact.label = "space";
    fact.message =
        fmt::format("the disk of {} is full: {} of {} are free", place(replica),
                    human_size(replica.pool_free_bytes()), human_size(replica.pool_bytes()));
    fact.facts = {{"node", replica.node()}, {"free_bytes", replica.pool_free_bytes()}};
    why.chain.push_back(std::move(fact));
  }
  if (replica.log_fill_percent() < log_tight_percent) return;
  Fact fact;
  fact.code = "log_full";
  fact.label = "space";
  fact.message = fmt::format("the log of {} is {} % full: writers wait until it is folded",
                             place(replica), replica.log_fill_percent());
  fact.facts = {{"node", replica.node()}, {"fill_percent", replica.log_fill_percent()}};
  why.chain.push_back(std::move(fact));
}

void add_under_way(const pb::Volume& volume, Explanation& why) {
  if (volume.has_change()) {
    Fact fact;
    fact.code = "change";
    fact.label = "change";
    fact.message = fmt::format("to {} copies under way: {}", volume.change().replicas(),
                               volume.change().waiting());
    why.chain.push_back(std::move(fact));
  }
  if (volume.moving_to() != 0) {
    Fact fact;
    fact.code = "move";
    fact.label = "change";
    fact.message = fmt::format("replica {} is to be the primary", volume.moving_to());
    why.chain.push_back(std::move(fact));
  }
  if (volume.has_force() && !volume.force().done()) {
    Fact fact;
    fact.code = "force";
    fact.label = "change";
    fact.message = fmt::format("forced by {}: {}", volume.force().who(), volume.force().why());
    why.chain.push_back(std::move(fact));
  }
}

// --- what would help ---

void add_action(Explanation& why, std::string code, std::string message, std::string command) {
  why.actions.push_back(Action{std::move(code), std::move(message), std::move(command)});
}

void help_copy(const pb::Volume& volume, const pb::ReplicaView& replica, Explanation& why) {
  const std::string node = place(replica);
  const std::string replace =
      fmt::format("seawall replica replace {} --node {}", volume.name(), node);
  if (replica.state() == "unreachable") {
    add_action(
        why, "start_node",
        "start the daemon of " + node + ", or mend its network; its copy comes back by itself", "");
    add_action(why, "replace", "if " + node + " is lost for good, put another copy in its place",
               replace);
  } else if (replica.state() == "terminal") {
    add_action(why, "retry", "mend what made its copy on " + node + " fail, then try it again",
               fmt::format("seawall replica retry {} --node {}", volume.name(), node));
    add_action(why, "replace", "or put another copy in its place", replace);
  } else if (replica.state() == "failed") {
    add_action(
        why, "mend_disk",
        "look at the disk of " + node + "; its store is opened again by itself, after a pause", "");
    add_action(why, "replace", "if it keeps failing, put another copy in its place", replace);
  }
}

void help_votes(const pb::Volume& volume, Explanation& why) {
  if (volume.pending_epoch() == 0) return;
  std::uint32_t reported = 0;
  std::string there;
  for (const pb::VoteView& vote : volume.votes()) {
    if (!vote.counts()) continue;
    ++reported;
    there += (there.empty() ? "" : ",") + vote.node();
  }
  if (reported >= volume.votes_needed()) return;
  add_action(why, "force",
             "only if the missing ones never come back: go on with those that are there, which may "
             "lose what they lack",
             fmt::format("seawall volume force {} --members {} --who NAME --why TEXT",
                         volume.name(), there.empty() ? "NODES" : there));
}

void add_help(const pb::Volume& volume, Explanation& why) {
  if (volume.health() == "faulted") {
    add_action(why, "newer_store",
               "start the controller with its newest store: this one is older than what the "
               "replicas have seen",
               "");
    return;
  }
  for (const pb::ReplicaView& replica : volume.replicas()) {
    if (!counts(volume, replica)) help_copy(volume, replica, why);
  }
  for (const pb::ReplicaView& replica : volume.replicas()) {
    if (replica.state() == "unreachable" || !pool_is_full(replica)) continue;
    add_action(why, "free_space", "free space on the disk of " + place(replica), "");
  }
  help_votes(volume, why);
}

}  // namespace

Explanation explain(const pb::Volume& volume) {
  Explanation why;
  why.subject = "volume/" + volume.name();
  why.state = volume.health();
  why.headline = headline_of(volume);
  add_volume(volume, why);
  add_primary(volume, why);
  add_votes(volume, why);
  for (const pb::ReplicaView& replica : volume.replicas()) add_copy(volume, replica, why);
  for (const pb::ReplicaView& replica : volume.replicas()) add_space(replica, why);
  add_under_way(volume, why);
  add_help(volume, why);
  return why;
}

}  // namespace seawall::cli
