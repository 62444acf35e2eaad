// MUTANT(Mxx): a wrong protocol on purpose, one switch each.
//
// False, and free, in every ordinary build. A build with -DSEAWALL_MUTANTS=ON holds all of them
// asleep; SEAWALL_MUTANT=M02 in the environment wakes one, and tests or the simulator must fail.
// The numbers are those of the mutants in the acceptance catalogue (up to M80) and our own (from
// M81 on); tests/mutants.txt says what each breaks and what kills it. Only places where the wrong
// line is a plausible mistake hold one.
#pragma once

#ifdef SEAWALL_MUTANTS
namespace seawall {
int awake_mutant();  // 0: none; reads the environment once, in mutant.cc
consteval int mutant_number(const char* name) {  // "M02" -> 2
  int number = 0;
  for (const char* digit = name + 1; *digit != '\0'; ++digit) number = number * 10 + (*digit - '0');
  return number;
}
}  // namespace seawall
#define MUTANT(name) (::seawall::mutant_number(#name) == ::seawall::awake_mutant())
#else
#define MUTANT(name) false
#endif
