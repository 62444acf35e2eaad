// Forced into every file of a mutant build (mutants.sh): one build tries all mutants, the number comes
// from the environment. Never part of the product.
#pragma once

#include <cstdlib>

inline const int seawall_mutant_number = [] {
  const char* text = std::getenv("SEAWALL_MUTANT_NUMBER");
  return text == nullptr ? 0 : std::atoi(text);
}();
