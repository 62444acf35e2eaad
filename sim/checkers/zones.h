// Zones: is the whole history of a block linearizable? In time n log n.
//
// Purpose: I2 over every block and the whole run, exactly. Values are unique, so each write with
// its reads forms a zone: from the earliest end to the latest beginning of its operations if that
// is later (the value was certainly there in between), else the other way round (a moment somewhere
// in between is enough). The history is linearizable iff no read ends before its write begins, no
// two certain zones overlap, and no other zone lies inside a certain one (Gibbons and Korach,
// "Testing shared memories", 1997; written from the theorem). A write whose outcome is open and
// that nobody read is left out. Life cycle: a pure function. Thread: any. Errors: a sentence;
// empty: linearizable.
#pragma once

#include "sim/checkers/history.h"

namespace seawall::sim {

[[nodiscard]] std::string check_zones(const BlockHistory& history);

}  // namespace seawall::sim
