// Verdict: what went wrong in a run, first failure first.
//
// Life cycle: one run. Thread: the run's. A run ends with its first failure; later ones are often
// its consequences, so only the first is kept. The numbers are exit codes of seawall-sim.
#pragma once

#include <cstdint>
#include <string>

namespace seawall::sim {

enum class Failure : std::uint8_t {
  none = 0,
  safety = 31,       // wrong bytes, lost data, a broken invariant
  liveness = 32,     // healed, but not writable or not in sync within the bound
  determinism = 33,  // the same seed did two different things
  crash = 34,        // a CHECK, a signal, or no end
};

inline const char* failure_name(Failure failure) {
  switch (failure) {
    case Failure::none: return "none";
    case Failure::safety: return "safety";
    case Failure::liveness: return "liveness";
    case Failure::determinism: return "determinism";
    case Failure::crash: return "crash";
  }
  return "unknown";
}

class Verdict {
 public:
  void fail(Failure failure, std::string text) {
    if (failure_ != Failure::none) return;
    failure_ = failure;
    text_ = std::move(text);
  }
  [[nodiscard]] bool failed() const { return failure_ != Failure::none; }
  [[nodiscard]] Failure failure() const { return failure_; }
  [[nodiscard]] const std::string& text() const { return text_; }

 private:
  Failure failure_ = Failure::none;
  std::string text_;
};

}  // namespace seawall::sim
