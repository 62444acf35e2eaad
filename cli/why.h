// Why a volume is as it is, in words: what is wrong, since when, what waits for what, what would
// help, by which command.
//
// Purpose: from one projection to typed facts and actions; the codes are stable, the sentences are
// for people. Pure: the same projection gives the same text, in a fixed order: the volume, its
// primary, the votes of a failover, its copies, space, what is under way, what would help.
// Thread: any. Units: milliseconds. Errors: none; a healthy volume has no action.
#pragma once

#include <boost/json.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "proto/control.pb.h"

namespace seawall::cli {

namespace pb = seawall::v1;

struct Fact {
  std::string code;  // stable: volume_degraded, primary_serving, copy_unreachable, vote_missing ...
  std::string label;  // volume, primary, vote, copy, failure, space, change
  std::string message;
  std::optional<std::uint64_t> for_ms;  // it has been so for so long; absent: nobody knows
  boost::json::object facts;            // the values that the message speaks of
};

struct Action {
  std::string code;
  std::string message;
  std::string command;  // empty: nothing to type
};

struct Explanation {
  std::string subject;   // "volume/db"
  std::string state;     // healthy | degraded | recovering | unavailable | faulted
  std::string headline;  // whether I/O is served, and how much more may fail
  std::vector<Fact> chain;
  std::vector<Action> actions;  // empty: nothing is to be done
};

Explanation explain(const pb::Volume& volume);

std::string why_text(const Explanation& why, bool colours);
boost::json::object why_json(const Explanation& why);

// "2.1 s", "4 min 5 s", "3 h 2 min", "2 d 1 h"
std::string human_duration(std::uint64_t ms);

}  // namespace seawall::cli
