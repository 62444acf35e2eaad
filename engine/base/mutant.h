// MUTANT(Mxx): a wrong protocol on purpose, one compile-time switch each.
//
// False, and free, in every ordinary build. A build with -DSEAWALL_MUTANT=2 makes MUTANT(M02) true;
// the tests and the simulator of that build must fail. The numbers are those of the mutants in the
// acceptance catalogue. Only places where the wrong line is a plausible mistake hold one.
#pragma once

#ifdef SEAWALL_MUTANT
namespace seawall {
constexpr int mutant_number(const char* name) {  // "M02" -> 2
  int number = 0;
  for (const char* digit = name + 1; *digit != '\0'; ++digit) number = number * 10 + (*digit - '0');
  return number;
}
}  // namespace seawall
#define MUTANT(name) (::seawall::mutant_number(#name) == (SEAWALL_MUTANT))
#else
#define MUTANT(name) false
#endif
