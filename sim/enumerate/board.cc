#include "sim/enumerate/board.h"

#include <sys/mman.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <new>

#include "engine/base/check.h"

namespace seawall::sim {

std::string path_text(const CrashPath& path) {
  std::string text;
  for (unsigned i = 0; i < path.deaths; ++i) {
    text += (i == 0 ? "" : ",") + std::to_string(path.death[i].boundary) +
            (path.death[i].power ? ":power" : ":crash");
  }
  return text;
}

bool parse_path(const char* text, CrashPath& path) {
  const std::string all(text);
  std::size_t at = 0;
  while (at < all.size()) {
    if (path.deaths == CrashPath::most) return false;
    const std::string one = all.substr(at, all.find(',', at) - at);
    at += one.size() + 1;
    const std::size_t colon = one.find(':');
    if (colon == std::string::npos) return false;
    Death& death = path.death[path.deaths++];
    const auto [end, error] = std::from_chars(one.data(), one.data() + colon, death.boundary);
    if (error != std::errc{} || end != one.data() + colon) return false;
    const std::string how = one.substr(colon + 1);
    if (how != "crash" && how != "power") return false;
    death.power = how == "power";
  }
  return path.deaths > 0;
}

Board& Board::make() {
  void* memory = mmap(nullptr, sizeof(Board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
                      -1, 0);
  CHECK(memory != MAP_FAILED);
  return *new (memory) Board;
}

void Board::unmake(Board& board) { munmap(&board, sizeof(Board)); }

void Board::ran(const CrashPath& path) {
  const Death& last = path.death[path.deaths - 1];
  ++(last.power ? power_losses : crashes)[path.deaths - 1];
}

void Board::failed(const CrashPath& path, Failure failure, const std::string& text) {
  ++by_failure[static_cast<unsigned>(failure) - static_cast<unsigned>(Failure::safety)];
  const std::uint64_t place = failures++;
  if (place >= failures_most) return;
  Failed& mine = first[place];
  mine.path = path;
  mine.failure = failure;
  std::memcpy(mine.text, text.data(), std::min(text.size(), text_most - 1));
}

void Board::keep_hash(const CrashPath& path, std::uint64_t hash) {
  const Death& death = path.death[0];
  if (path.deaths == 1 && death.boundary < hashes_most) {
    hashes[death.power ? 1 : 0][death.boundary] = hash;
  }
}

std::uint64_t Board::hash(const Death& death) const {
  return death.boundary < hashes_most ? hashes[death.power ? 1 : 0][death.boundary].load() : 0;
}

}  // namespace seawall::sim
