// Runner: a Core with its Store. Carries out Commit, Load and RememberNode at once and feeds the
// outcomes back; what is left in the outputs goes to nodes (Deliver, Reject) and users (Answered).
//
// Life cycle: start() once, then step(); a crash is a new Runner on the same store. Thread: one.
// Errors: start() answers the store's; later ones are read back by Core.
#pragma once

#include <vector>

#include "controller/core/core.h"
#include "controller/store/store.h"

namespace seawall::controller {

class Runner {
 public:
  explicit Runner(Store& store, const Options& options = {}) : store_(store), core_(options) {}

  Status start(Instant now, std::vector<Output>& out);
  void step(const Input& input, Instant now, std::vector<Output>& out);
  [[nodiscard]] const Core& core() const { return core_; }

 private:
  void carry_out(std::vector<Output> wanted, Instant now, std::vector<Output>& out);

  Store& store_;
  Core core_;
};

}  // namespace seawall::controller
