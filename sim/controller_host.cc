#include "sim/controller_host.h"

#include <utility>
#include <vector>

namespace seawall::sim {
namespace {

constexpr Micros tick_every = 50 * ms;
constexpr Micros ask_every = 3 * seconds;

}  // namespace

ControllerHost::ControllerHost(Scheduler& scheduler, Trace& trace, Verdict& verdict,
                               ControlNet& net, Prng prng)
    : scheduler_(scheduler), trace_(trace), verdict_(verdict), net_(net), prng_(prng) {}

// --- life ---

void ControllerHost::start() {
  CHECK(active_ == nullptr);
  active_ = std::make_unique<Life>();
  Life& life = *active_;
  life.owner = scheduler_.new_owner();
  trace_.add(TraceRecord{scheduler_.now(), What::controller_start, 0});
  life.core = std::make_unique<controller::Core>(core_options_);
  std::vector<controller::VolumeRecord> volumes;
  for (const auto& [id, record] : store_) volumes.push_back(record);
  std::vector<controller::NodeRecord> nodes;
  for (const auto& [id, record] : nodes_) nodes.push_back(record);
  controller::Core::Outputs outputs;
  life.core->start(volumes, nodes, now(), outputs);
  current_ = &life;
  carry_out(outputs);
  ControlNet::ControllerSide side;
  side.owner = life.owner;
  side.receive = [this, &life](std::uint64_t stream, const control::FromNode& message) {
    step(life, controller::input::NodeSaid{stream, message});
  };
  side.lost = [this, &life](std::uint64_t stream) {
    step(life, controller::input::NodeGone{stream});
  };
  net_.controller_up(std::move(side));
  scheduler_.after(tick_every, life.owner, [this, &life] { tick(life); });
  for (const auto& [id, asked] : asked_) ask_again(id);
}

void ControllerHost::halt() {
  if (active_ != nullptr) scheduler_.kill(active_->owner);
}

void ControllerHost::crash() {
  CHECK(active_ != nullptr);
  trace_.add(TraceRecord{scheduler_.now(), What::controller_crash, 0});
  net_.controller_down();
  scheduler_.kill(active_->owner);
  active_.reset();
}

void ControllerHost::take_over() {
  CHECK(active_ != nullptr);
  trace_.add(TraceRecord{scheduler_.now(), What::controller_pause, 0});
  net_.controller_replaced();
  scheduler_.pause(active_->owner);
  rivals_.push_back(std::move(active_));
  start();
}

void ControllerHost::wake_rivals() {
  for (const auto& rival : rivals_) {
    if (!scheduler_.alive(rival->owner) || !scheduler_.paused(rival->owner)) continue;
    trace_.add(TraceRecord{scheduler_.now(), What::controller_wake, 0});
    scheduler_.resume(rival->owner);
  }
}

void ControllerHost::end_rivals() {
  for (const auto& rival : rivals_) {
    if (scheduler_.alive(rival->owner)) scheduler_.kill(rival->owner);
  }
}

void ControllerHost::tick(Life& life) {
  step(life, controller::input::Tick{});
  scheduler_.after(tick_every, life.owner, [this, &life] { tick(life); });
}

void ControllerHost::step(Life& life, const controller::Input& input) {
  controller::Core::Outputs outputs;
  life.core->step(input, now(), outputs);
  current_ = &life;
  carry_out(outputs);
}

void ControllerHost::carry_out(const controller::Core::Outputs& outputs) {
  for (const controller::Output& output : outputs) {
    if (!scheduler_.alive(current_->owner)) return;  // it died behind one of them
    std::visit([this](const auto& o) { on(o); }, output);
  }
}

// --- outputs ---

void ControllerHost::on(const controller::output::Deliver& output) {
  stream_.delivered(output.message);
  net_.to_node(static_cast<NodeNumber>(output.node.value()), output.session, output.message);
}

// The session is over for the controller: the daemon ends its stream, the node registers anew.
void ControllerHost::on(const controller::output::Reject& output) { net_.close(output.session); }

// True: landed. The store refuses what does not fit.
bool ControllerHost::land(const controller::output::Commit& commit) {
  const auto it = store_.find(commit.volume);
  if (commit.expected.has_value() != (it != store_.end())) return false;
  if (it != store_.end() && it->second.version() != *commit.expected) return false;
  if (commit.next.has_value()) {
    if (it != store_.end() && commit.next->version() <= it->second.version()) {
      verdict_.fail(Failure::safety, "the controller commits a version that does not rise");
    }
    store_[commit.volume] = *commit.next;
  } else {
    store_.erase(it);
  }
  stream_.committed(commit.next ? &*commit.next : nullptr, commit.event);
  if (on_commit_) on_commit_(commit.event);
  return true;
}

void ControllerHost::on(const controller::output::Commit& output) {
  const Micros lands = prng_.range(100, 8 * ms);
  const Micros answers = lands + prng_.range(50, 4 * ms);
  const bool reply_lost = prng_.chance(lost_reply_);
  const bool lands_at_all = !reply_lost || prng_.coin();
  auto outcome = std::make_shared<controller::StoreOutcome>(controller::StoreOutcome::unknown);
  // The store is another process: what was sent to it may land after the controller's death.
  Life& life = *current_;
  const Owner self = life.owner;
  const bool outlives = prng_.coin();
  trace_.boundary(TraceRecord{scheduler_.now(), What::commit_asked, 0, output.token});
  scheduler_.after(lands, world, [this, output, outcome, reply_lost, lands_at_all, self, outlives] {
    if (!lands_at_all || (!scheduler_.alive(self) && !outlives)) return;
    const bool ok = land(output);
    trace_.boundary(
        TraceRecord{scheduler_.now(), What::commit_landed, 0, output.token, ok ? 1u : 0u});
    if (!reply_lost) {
      *outcome = ok ? controller::StoreOutcome::committed : controller::StoreOutcome::conflict;
    }
  });
  scheduler_.after(answers, self, [this, &life, token = output.token, outcome] {
    trace_.boundary(TraceRecord{scheduler_.now(), What::commit_answered, 0, token});
    step(life, controller::input::Stored{token, *outcome});
  });
}

void ControllerHost::on(const controller::output::Load& output) {
  Life& life = *current_;
  scheduler_.after(prng_.range(100, 4 * ms), life.owner, [this, &life, output] {
    trace_.boundary(TraceRecord{scheduler_.now(), What::record_loaded, 0, output.token});
    controller::input::Loaded loaded;
    loaded.token = output.token;
    loaded.ok = !prng_.chance(lost_reply_);
    const auto it = store_.find(output.volume);
    if (loaded.ok && it != store_.end()) loaded.record = it->second;
    step(life, loaded);
  });
}

void ControllerHost::on(const controller::output::Survey&) {
  Life& life = *current_;
  scheduler_.after(prng_.range(100, 4 * ms), life.owner, [this, &life] {
    controller::input::Surveyed surveyed;
    surveyed.ok = !prng_.chance(lost_reply_);
    for (const auto& [id, record] : store_) surveyed.versions.emplace(id, record.version());
    step(life, surveyed);
  });
}

void ControllerHost::on(const controller::output::RememberNode& output) {
  nodes_[output.record.id] = output.record;
}

void ControllerHost::on(const controller::output::Answered& output) {
  const auto it = asked_.find(output.id);
  if (it == asked_.end()) return;
  const auto again = [&] {
    if (!output.answer.refusal.has_value()) return false;
    switch (output.answer.refusal->code) {
      case controller::RefusalCode::timed_out:
      case controller::RefusalCode::busy:
      case controller::RefusalCode::not_ready:
      case controller::RefusalCode::too_few_nodes:
      case controller::RefusalCode::no_space: return true;
      default: return false;
    }
  };
  if (again()) {
    scheduler_.after(200 * ms, world, [this, id = output.id] { ask_again(id); });
    return;
  }
  trace_.boundary(TraceRecord{scheduler_.now(), What::controller_answers, 0, output.id});
  const Done done = std::move(it->second.done);
  asked_.erase(it);
  scheduler_.after(prng_.range(100, 2 * ms), world,
                   [done, answer = output.answer] { done(answer); });
}

// --- requests ---

void ControllerHost::ask(controller::Request request, Done done) {
  const std::uint64_t id = ++last_asked_;
  asked_.emplace(id, AskedRequest{std::move(request), std::move(done)});
  ask_again(id);
}

void ControllerHost::ask_again(std::uint64_t id) {
  if (active_ == nullptr) return;  // the next one to start asks
  Life& life = *active_;
  scheduler_.after(prng_.range(100, 2 * ms), life.owner, [this, &life, id] {
    const auto it = asked_.find(id);
    if (it == asked_.end()) return;
    trace_.boundary(TraceRecord{scheduler_.now(), What::controller_asked, 0, id});
    step(life, controller::input::Asked{id, it->second.request, now() + Duration{ask_every / ms}});
  });
}

// --- looking ---

const controller::VolumeRecord* ControllerHost::volume(VolumeId id) const {
  const auto it = store_.find(id);
  return it == store_.end() ? nullptr : &it->second;
}

std::string ControllerHost::waiting(VolumeId id) const {
  if (active_ == nullptr) return "the controller is down";
  for (const controller::Core::VolumeNow& now : active_->core->volumes()) {
    if (now.record->id == id) return now.waiting;
  }
  return "unknown volume";
}

}  // namespace seawall::sim
