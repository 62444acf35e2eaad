// libFuzzer's side of a target: most mutations leave their checksums right.
#include "tests/fuzz/target.h"

extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t most);

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  seawall::fuzz::run(std::as_bytes(std::span(data, size)));
  return 0;
}

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size,
                                               std::size_t most, unsigned seed) {
  const std::size_t length = LLVMFuzzerMutate(data, size, most);
  if (seed % 8 != 0) seawall::fuzz::mend(std::as_writable_bytes(std::span(data, length)));
  return length;
}
