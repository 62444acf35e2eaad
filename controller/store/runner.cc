#include "controller/store/runner.h"

#include <deque>
#include <utility>

namespace seawall::controller {

Status Runner::start(Instant now, std::vector<Output>& out) {
  TRY_ASSIGN(const std::vector<VolumeRecord> volumes, store_.volumes());
  TRY_ASSIGN(const std::vector<NodeRecord> nodes, store_.nodes());
  std::vector<Output> wanted;
  core_.start(volumes, nodes, now, wanted);
  carry_out(std::move(wanted), now, out);
  return Status();
}

void Runner::step(const Input& input, Instant now, std::vector<Output>& out) {
  std::vector<Output> wanted;
  core_.step(input, now, wanted);
  carry_out(std::move(wanted), now, out);
}

// Every outcome is an input that may want more; the order of outputs is kept.
void Runner::carry_out(std::vector<Output> wanted, Instant now, std::vector<Output>& out) {
  std::deque<Output> left(std::make_move_iterator(wanted.begin()),
                          std::make_move_iterator(wanted.end()));
  while (!left.empty()) {
    Output next = std::move(left.front());
    left.pop_front();
    std::vector<Output> more;
    if (const auto* commit = std::get_if<output::Commit>(&next)) {
      const StoreOutcome outcome =
          store_.compare_and_set(commit->volume, commit->expected, commit->next, commit->event);
      core_.step(input::Stored{commit->token, outcome}, now, more);
    } else if (const auto* load = std::get_if<output::Load>(&next)) {
      Result<std::optional<VolumeRecord>> held = store_.volume(load->volume);
      input::Loaded loaded{load->token, held.has_value(), std::nullopt};
      if (held) loaded.record = std::move(*held);
      core_.step(loaded, now, more);
    } else if (std::holds_alternative<output::Survey>(next)) {
      Result<std::map<VolumeId, Version>> held = store_.versions();
      input::Surveyed surveyed{held.has_value(), {}};
      if (held) surveyed.versions = std::move(*held);
      core_.step(surveyed, now, more);
    } else if (const auto* node = std::get_if<output::RememberNode>(&next)) {
      // A projection: a node that registers again says it again.
      MAYBE(store_.remember(node->record).has_value());
    } else {
      out.push_back(std::move(next));
    }
    for (Output& each : more) left.push_back(std::move(each));
  }
}

}  // namespace seawall::controller
