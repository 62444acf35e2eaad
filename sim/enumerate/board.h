// Board: what the copies of an enumerating process have found, in memory that all of them share.
//
// Life cycle: made once an operation, before the first copy. Thread: any process; counters are
// atomic, a failure is written once by whoever takes its place. Bounded: the first failures only.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>

#include "sim/verdict.h"

namespace seawall::sim {

// Whoever is at this boundary dies there. Boundaries count from the beginning of the scene, or
// from the death before.
struct Death {
  std::uint64_t boundary = 0;
  bool power = false;
};

struct CrashPath {
  static constexpr unsigned most = 2;
  unsigned deaths = 0;
  Death death[most];
};
std::string path_text(const CrashPath& path);  // 12:crash,7:power
bool parse_path(const char* text, CrashPath& path);

class Board {
 public:
  static constexpr std::uint64_t failures_most = 64;
  static constexpr std::size_t text_most = 400;
  static constexpr std::uint64_t hashes_most = 1 << 16;

  struct Failed {
    CrashPath path;
    Failure failure = Failure::none;
    char text[text_most] = {};
  };

  static Board& make();
  static void unmake(Board& board);

  void ran(const CrashPath& path);
  void failed(const CrashPath& path, Failure failure, const std::string& text);
  // The trace of a run with one death, to be compared with that of its replay.
  void keep_hash(const CrashPath& path, std::uint64_t hash);
  [[nodiscard]] std::uint64_t hash(const Death& death) const;
  [[nodiscard]] std::uint64_t runs(unsigned deaths) const {
    return crashes[deaths - 1] + power_losses[deaths - 1];
  }

  std::atomic<std::uint64_t> crashes[CrashPath::most];       // runs whose last death was one
  std::atomic<std::uint64_t> power_losses[CrashPath::most];
  std::atomic<std::uint64_t> recovery_boundaries;  // of all first deaths that were branched from
  std::atomic<std::uint64_t> failures;
  std::atomic<std::uint64_t> by_failure[4];  // safety, liveness, determinism, crash
  Failed first[failures_most];
  std::atomic<std::uint64_t> hashes[2][hashes_most];
};

}  // namespace seawall::sim
