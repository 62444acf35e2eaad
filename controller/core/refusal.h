// Refusal: why a user's request is not carried out, in parts and as one sentence.
//
// Every refusal names the field, the value that was given and what would be right; `code` is a
// stable word for programs. Values; any thread.
#pragma once

#include <string>
#include <utility>

namespace seawall::controller {

enum class RefusalCode {
  invalid_argument,
  already_exists,
  not_found,
  attached_elsewhere,  // the holder is named
  not_attached,
  still_attached,  // delete of an attached volume
  not_ready,       // being created or deleted
  too_few_nodes,
  no_space,
  busy,       // too many requests wait for this volume
  timed_out,  // what was committed stays; the same request again goes on from there
  create_failed,
  still_serving,  // force: it is not needed
  not_moved,      // the old primary goes on
  not_forced,     // nothing was changed
};

struct Refusal {
  RefusalCode code = RefusalCode::invalid_argument;
  std::string field;
  std::string value;
  std::string wanted;
  std::string message;
};

inline const char* refusal_name(RefusalCode code) {
  switch (code) {
    case RefusalCode::invalid_argument: return "invalid_argument";
    case RefusalCode::already_exists: return "already_exists";
    case RefusalCode::not_found: return "not_found";
    case RefusalCode::attached_elsewhere: return "attached_elsewhere";
    case RefusalCode::not_attached: return "not_attached";
    case RefusalCode::still_attached: return "still_attached";
    case RefusalCode::not_ready: return "not_ready";
    case RefusalCode::too_few_nodes: return "too_few_nodes";
    case RefusalCode::no_space: return "no_space";
    case RefusalCode::busy: return "busy";
    case RefusalCode::timed_out: return "timed_out";
    case RefusalCode::create_failed: return "create_failed";
    case RefusalCode::still_serving: return "still_serving";
    case RefusalCode::not_moved: return "not_moved";
    case RefusalCode::not_forced: return "not_forced";
  }
  return "unknown";
}

// "size_bytes is 5: give a multiple of 4096"
inline Refusal refuse(RefusalCode code, std::string field, std::string value, std::string wanted) {
  std::string message = field + " is " + (value.empty() ? "empty" : value) + ": " + wanted;
  return Refusal{code, std::move(field), std::move(value), std::move(wanted), std::move(message)};
}

}  // namespace seawall::controller
