// History: what happened to one block, as a client saw it.
//
// A write counts from its asking to the moment from which its outcome is fixed: its answer, an
// error included, or the next client's first request when its own client died. Whether a write that
// did not end well took effect is open. Values are unique: one operation wrote each.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sim/content.h"

namespace seawall::sim {

struct BlockOp {
  enum class Kind : std::uint8_t { read, write } kind = Kind::read;
  Stamp value = 0;  // written, or shown; 0 is what a fresh block holds
  std::uint64_t begin = 0, end = 0;
  bool certain = true;  // a write: took effect (else: perhaps)
};

using BlockHistory = std::vector<BlockOp>;

}  // namespace seawall::sim
