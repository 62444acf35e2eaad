#include "tests/explore/explorer.h"

#include <algorithm>
#include <memory>

namespace seawall::explore {
namespace {

// Digests of what was seen, with the state's number. Open addressing: a map would be half memory.
class Seen {
 public:
  explicit Seen(std::uint64_t states_max) {
    std::size_t places = 1024;
    while (places < states_max * 2) places *= 2;
    places_.resize(places);
  }
  // The number of the state that had this digest first; `fresh` is stored when there is none.
  std::uint32_t find_or_add(std::uint64_t digest, std::uint32_t fresh) {
    if (digest == 0) digest = 1;
    std::size_t at = digest & (places_.size() - 1);
    while (places_[at].digest != 0) {
      if (places_[at].digest == digest) return places_[at].state;
      at = (at + 1) & (places_.size() - 1);
    }
    places_[at] = Place{digest, fresh};
    return fresh;
  }

 private:
  struct Place {
    std::uint64_t digest = 0;
    std::uint32_t state = 0;
  };
  std::vector<Place> places_;
};

class Search {
 public:
  explicit Search(const ExploreOptions& options)
      : options_(options), world_(options.world), seen_(options.states_max) {}

  ExploreResult run() {
    add(0, 0);
    seen_.find_or_add(world_.digest(), 0);
    save_at(0);
    for (std::uint32_t state = 0; state < states_.size(); ++state) {
      if (states_.size() >= options_.states_max || !result_.wrong.empty()) break;
      expand(state);
    }
    result_.states = states_.size();
    if (result_.wrong.empty()) result_.exhausted = states_.size() < options_.states_max;
    return result_;
  }

 private:
  struct State {
    std::uint32_t parent = 0;
    Step step = 0;
    std::uint8_t depth = 0;
  };

  void add(std::uint32_t parent, Step step) {
    const auto depth =
        static_cast<std::uint8_t>(states_.empty() ? 0 : states_[parent].depth + 1);
    states_.push_back(State{parent, step, depth});
    result_.depth = std::max<std::uint64_t>(result_.depth, depth);
  }

  std::vector<Step> way_to(std::uint32_t state) const {
    std::vector<Step> way;
    for (; states_[state].depth > 0; state = states_[state].parent) {
      way.push_back(states_[state].step);
    }
    std::reverse(way.begin(), way.end());
    return way;
  }

  void save_at(std::size_t depth) {
    while (saved_.size() <= depth) saved_.push_back(std::make_unique<World::Saved>());
    world_.save(*saved_[depth]);
  }

  // Puts the world into this state and saves it at its depth.
  void go_to(std::uint32_t state) {
    const std::vector<Step> way = way_to(state);
    std::size_t common = 0;
    while (common < way.size() && common < here_.size() && way[common] == here_[common]) ++common;
    world_.restore(*saved_[common]);
    for (std::size_t depth = common; depth < way.size(); ++depth) {
      world_.take(way[depth]);
      save_at(depth + 1);
    }
    here_ = way;
  }

  void expand(std::uint32_t state) {
    go_to(state);
    if (options_.keep_way_every > 0 && state % options_.keep_way_every == 0) {
      result_.kept.push_back(here_);
    }
    const World::Saved& saved = *saved_[here_.size()];
    result_.complete = states_[state].depth;
    std::vector<Step> steps;
    world_.steps(steps);
    for (const Step step : steps) {
      world_.take(step);
      ++result_.transitions;
      const std::string wrong = world_.wrong();
      if (!wrong.empty()) {
        result_.wrong = wrong;
        result_.way = here_;
        result_.way.push_back(step);
        return;
      }
      const auto fresh = static_cast<std::uint32_t>(states_.size());
      const std::uint32_t known = seen_.find_or_add(world_.digest(), fresh);
      if (known == fresh) {
        add(state, step);
      } else if (options_.check_equal_every > 0 &&
                 ++again_ % options_.check_equal_every == 0) {
        check_equal(known);
        go_to(state);
        if (!result_.wrong.empty()) return;
        continue;
      }
      world_.restore(saved);
      if (states_.size() >= options_.states_max) return;
    }
  }

  // Where the steps of the present state lead, without their names.
  std::vector<std::uint64_t> successors() {
    World::Saved from;
    world_.save(from);
    std::vector<Step> steps;
    world_.steps(steps);
    std::vector<std::uint64_t> digests;
    for (const Step step : steps) {
      world_.take(step);
      digests.push_back(world_.digest());
      world_.restore(from);
    }
    std::sort(digests.begin(), digests.end());
    return digests;
  }

  void check_equal(std::uint32_t known) {
    ++result_.checked_equal;
    const std::vector<std::uint64_t> here = successors();
    go_to(known);
    if (successors() == here) return;
    result_.wrong = "two states with one digest go on differently";
    result_.way = here_;
  }

  ExploreOptions options_;
  World world_;
  Seen seen_;
  std::vector<State> states_;
  std::vector<std::unique_ptr<World::Saved>> saved_;  // along `here_`, by depth
  std::vector<Step> here_;
  std::uint64_t again_ = 0;
  ExploreResult result_;
};

}  // namespace

ExploreResult explore(const ExploreOptions& options) { return Search(options).run(); }

std::string summary(const ExploreResult& result) {
  return std::to_string(result.states) + " states, " + std::to_string(result.transitions) +
         " transitions, depth " + std::to_string(result.depth) + ", every state up to depth " +
         std::to_string(result.complete == 0 ? 0 : result.complete - (result.exhausted ? 0 : 1)) +
         (result.exhausted ? ", exhausted" : "") + ", " + std::to_string(result.checked_equal) +
         " equal states compared";
}

std::string way_text(const ExploreOptions& options, const ExploreResult& result) {
  std::string text;
  for (const Step step : result.way) text += World::name(step) + "\n";
  return text + "As a golden script (tests/script, SEAWALL_REWRITE=1 writes what it says):\n" +
         World::golden_script(options.world, result.way, result.wrong);
}

}  // namespace seawall::explore
