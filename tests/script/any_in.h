// A number in [low, high) for property tests, evenly from the first case on: RapidCheck's own
// ranges begin at `low` and widen with the number of the case, so rare
// alternatives would come first.
#pragma once

#include <rapidcheck.h>

namespace seawall::script {

template <class T>
T any_in(T low, T high) {
  return *rc::gen::resize(rc::kNominalSize, rc::gen::inRange<T>(low, high));
}

}  // namespace seawall::script
