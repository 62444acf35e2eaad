#include "sim/shrink.h"

#include <charconv>
#include <cinttypes>
#include <cstdio>
#include <cstring>
#include <vector>

namespace seawall::sim {
namespace {

constexpr std::uint64_t strikes_most = 4096;  // of each of the two kinds: more than a run has

class Shrinker {
 public:
  Shrinker(std::uint64_t seed, const BatchOptions& batch, std::uint64_t attempts_max)
      : batch_(batch), attempts_max_(attempts_max) {
    batch_.first_seed = seed;
    batch_.seeds = batch_.jobs = 1;
    batch_.reports_max = 0;
    batch_.print_trace = batch_.details = false;
  }

  ShrinkResult run() {
    result_.overrides = batch_.overrides;
    result_.failure = try_one(batch_.overrides);
    if (result_.failure == Failure::none) return result_;
    lessen_time();  // what comes after it is cheaper
    lessen_operations();
    drop_strikes();
    lessen_nodes();
    const auto& only = result_.overrides.strikes.only;
    result_.strikes = only ? only->size() : 0;
    return result_;
  }

 private:
  Failure try_one(const Overrides& overrides) {
    ++result_.attempts;
    BatchOptions one = batch_;
    one.overrides = overrides;
    const BatchResult got = run_batch(one);
    if (got.crash > 0) return Failure::crash;
    if (got.safety > 0) return Failure::safety;
    if (got.determinism > 0) return Failure::determinism;
    return got.liveness > 0 ? Failure::liveness : Failure::none;
  }

  // Keeps the smaller run if it fails alike.
  bool keep(const Overrides& smaller) {
    if (result_.attempts >= attempts_max_ || try_one(smaller) != result_.failure) return false;
    result_.overrides = smaller;
    return true;
  }

  bool keep_strikes(const std::vector<std::uint64_t>& left) {
    Overrides smaller = result_.overrides;
    smaller.strikes.only.emplace(left.begin(), left.end());
    return keep(smaller);
  }

  // Halves go first, then quarters, then single ones.
  void drop_strikes() {
    std::vector<std::uint64_t> left;
    if (result_.overrides.strikes.only) {
      left.assign(result_.overrides.strikes.only->begin(), result_.overrides.strikes.only->end());
    } else {
      for (std::uint64_t i = 0; i < strikes_most; ++i) left.push_back(i);
      for (std::uint64_t i = 0; i < strikes_most; ++i) {
        left.push_back(StrikePlan::first_of_disks + i);
      }
      if (!keep_strikes(left)) return;
    }
    for (std::size_t part = (left.size() + 1) / 2; part > 0; part /= 2) {
      for (std::size_t at = 0; at < left.size();) {
        std::vector<std::uint64_t> without(left.begin(),
                                           left.begin() + static_cast<std::ptrdiff_t>(at));
        if (at + part < left.size()) {
          without.insert(without.end(), left.begin() + static_cast<std::ptrdiff_t>(at + part),
                         left.end());
        }
        if (keep_strikes(without)) left = without;
        else at += part;
      }
    }
  }

  void lessen_operations() {
    for (std::uint64_t operations = 4'096; operations > 0; operations /= 2) {
      Overrides smaller = result_.overrides;
      smaller.operations = operations;
      if (!keep(smaller) && operations < 1'024) return;
    }
  }

  void lessen_time() {
    for (Micros chaos = 16 * seconds; chaos >= 250 * ms; chaos /= 2) {
      Overrides smaller = result_.overrides;
      smaller.chaos = chaos;
      if (!keep(smaller) && chaos < 8 * seconds) return;
    }
  }

  void lessen_nodes() {
    for (std::uint32_t nodes = 2; nodes <= 4; ++nodes) {
      Overrides smaller = result_.overrides;
      smaller.nodes = nodes;
      if (keep(smaller)) return;
    }
  }

  BatchOptions batch_;
  const std::uint64_t attempts_max_;
  ShrinkResult result_;
};

}  // namespace

std::string strikes_text(const StrikePlan& plan) {
  if (!plan.only) return "all";
  std::string text;
  for (const std::uint64_t number : *plan.only) {
    text += (text.empty() ? "" : ",") + std::to_string(number);
  }
  return text.empty() ? "none" : text;
}

bool parse_strikes(const char* text, StrikePlan& plan) {
  plan.only.emplace();
  if (std::strcmp(text, "none") == 0) return true;
  for (const char* end = text + std::strlen(text); text < end;) {
    std::uint64_t number = 0;
    const auto [at, error] = std::from_chars(text, end, number);
    if (error != std::errc{} || (at != end && *at != ',')) return false;
    plan.only->insert(number);
    text = at == end ? end : at + 1;
  }
  return !plan.only->empty();
}

ShrinkResult shrink(std::uint64_t seed, const BatchOptions& batch, std::uint64_t attempts_max) {
  return Shrinker(seed, batch, attempts_max).run();
}

int shrink_main(const BatchOptions& batch) {
  const ShrinkResult result = shrink(batch.first_seed, batch, 150);
  if (result.failure == Failure::none) {
    std::printf("seed %" PRIu64 " does not fail: nothing to shrink\n", batch.first_seed);
    return 1;
  }
  BatchOptions small = batch;
  small.overrides = result.overrides;
  std::printf("seed %" PRIu64 " fails (%s) with %" PRIu64 " faults left, after %" PRIu64
              " runs\nreplay: %s\n",
              batch.first_seed, failure_name(result.failure), result.strikes, result.attempts,
              replay_command(batch.first_seed, small).c_str());
  return 0;
}

}  // namespace seawall::sim
