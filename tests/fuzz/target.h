// What every fuzz target gives, and what its two drivers call.
//
// Purpose: a target is one source file that defines these three functions. libFuzzer drives it
// (preset `fuzz`, ./dev fuzz), and replay_main.cc runs the committed inputs through it in every
// other build. Thread: one. Errors: a broken promise of the decoder under test fails a CHECK.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace seawall::fuzz {

using Input = std::span<const std::byte>;

// Decodes the input and checks what the decoder promises.
void run(Input input);
// Makes the checksums of `input` fit again, so that what lies behind them is reached.
void mend(std::span<std::byte> input);
// Valid inputs to begin with: number `n`, as long as it is one of them, into `into`; the length.
std::size_t seed(std::size_t n, std::span<std::byte> into);

}  // namespace seawall::fuzz
