// Runs committed inputs through one target, each also with every one of its bytes changed and its
// checksums mended; `--seeds DIR` writes the target's valid inputs instead.
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "tests/fuzz/target.h"

namespace {

namespace fs = std::filesystem;
using seawall::fuzz::mend;
using seawall::fuzz::run;
using seawall::fuzz::seed;

constexpr std::size_t longest = 1 << 20;
constexpr std::size_t changes_max = 512;  // an input

std::vector<std::byte> load(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::vector<std::byte> bytes;
  for (std::istreambuf_iterator<char> at(file), end; at != end; ++at) {
    bytes.push_back(static_cast<std::byte>(*at));
  }
  return bytes;
}

int write_seeds(const fs::path& directory) {
  fs::create_directories(directory);
  std::vector<std::byte> bytes(longest);
  for (std::size_t n = 0;; ++n) {
    const std::size_t length = seed(n, bytes);
    if (length == 0) return n == 0 ? 1 : 0;
    std::ofstream file(directory / ("seed-" + std::to_string(n)), std::ios::binary);
    file.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(length));
  }
}

std::size_t replay(std::vector<std::byte> bytes) {
  run(bytes);
  const std::size_t step = bytes.size() / changes_max + 1;
  std::size_t runs = 1;
  for (std::size_t at = 0; at < bytes.size(); at += step, ++runs) {
    std::vector<std::byte> changed = bytes;
    changed[at] ^= std::byte{static_cast<unsigned char>(1u << at % 8)};
    mend(changed);
    run(changed);
  }
  return runs;
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> words(argv + 1, argv + argc);
  if (words.size() == 2 && words[0] == "--seeds") return write_seeds(words[1]);
  if (words.size() != 1 || !fs::is_directory(words[0])) {
    std::fprintf(stderr, "usage: %s CORPUS_DIRECTORY | --seeds DIRECTORY\n", argv[0]);
    return 2;
  }
  std::size_t inputs = 0, runs = 0;
  for (const auto& entry : fs::directory_iterator(words[0])) {
    ++inputs;
    runs += replay(load(entry.path()));
  }
  std::vector<std::byte> bytes(longest);
  for (std::size_t n = 0, length = 0; (length = seed(n, bytes)) != 0; ++n) {
    ++inputs;
    runs += replay({bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(length)});
  }
  std::printf("%zu inputs, %zu runs\n", inputs, runs);
  return inputs == 0 ? 1 : 0;
}
