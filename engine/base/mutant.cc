#include "engine/base/mutant.h"

#include <cstdlib>

namespace seawall {

int awake_mutant() {
  static const int number = [] {
    const char* text = std::getenv("SEAWALL_MUTANT");
    if (text == nullptr) return 0;
    return std::atoi(*text == 'M' ? text + 1 : text);
  }();
  return number;
}

}  // namespace seawall
