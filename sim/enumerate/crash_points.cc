#include "sim/enumerate/crash_points.h"

#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cinttypes>
#include <csignal>
#include <cstdio>
#include <cstring>

#include "engine/base/chain.h"
#include "engine/base/check.h"

namespace seawall::sim {
namespace {

constexpr NodeNumber the_controller = 0;

// Whose boundary it is: who can die there.
NodeNumber who_is_at(const TraceRecord& record) {
  switch (record.what) {
    case What::controller_says:
    case What::from_node:
    case What::heartbeat:
    case What::controller_asked:
    case What::controller_answers:
    case What::commit_asked:
    case What::commit_landed:
    case What::commit_answered:
    case What::record_loaded: return the_controller;
    default: return record.node;
  }
}

const char* kind_of(What what) {
  switch (what) {
    case What::disk_submit: return "disk asked";
    case What::disk_executed: return "disk done";
    case What::change_begins:
    case What::change_done: return "disk changed";
    case What::frame_leaves: return "frames sent";
    case What::frame: return "frames received";
    case What::node_says:
    case What::controller_says: return "control sent";
    case What::to_node:
    case What::from_node:
    case What::heartbeat: return "control received";
    case What::device_asked:
    case What::device_answers:
    case What::controller_asked:
    case What::controller_answers: return "client";
    default: return "store";
  }
}

// How long it stays down: back at once, soon, after everybody has noticed, after a failover.
Micros down_for(const Death& death, unsigned level) {
  constexpr std::array times = {20 * ms, 300 * ms, 2 * seconds, 7 * seconds};
  return times[mix64(death.boundary * 2 + (death.power ? 1 : 0), level) % times.size()];
}

void bound_cpu_time(unsigned limit_s) {
  itimerval limit{};
  limit.it_value.tv_sec = static_cast<time_t>(limit_s);
  setitimer(ITIMER_PROF, &limit, nullptr);
}

}  // namespace

void CrashPoints::start(Trace& trace) {
  stride_ = plan_.stride;
  offset_ = plan_.offset;
  if (!plan_.deaths.empty()) mode_ = Mode::dying;
  else if (plan_.depth > 0) mode_ = Mode::branching;
  trace.set_on_boundary([this](const TraceRecord& record) { heard(record); });
}

void CrashPoints::heard(const TraceRecord& record) {
  if (record.what == What::scene && path_.deaths == 0) {
    open_ = record.a == 1;
    return;
  }
  if (record.what == What::heal_all) {
    ++heals_;
    down_ = 0;
  }
  if (record.what == What::whole_again && path_.deaths > 0 && open_) {
    open_ = false;
    if (length_out_ != nullptr) *length_out_ = reached_;
    if (mode_ == Mode::branching) {  // its own end was judged in the copy that did not branch
      wait_for_all();
      _exit(0);
    }
  }
  if (!open_ || !is_boundary(record.what)) return;
  const NodeNumber who = who_is_at(record);
  if (scene_->cluster.alive(who)) reached(who, record.what);
}

const char* CrashPoints::role(NodeNumber node) const {
  if (node == the_controller) return "controller";
  Cluster& cluster = scene_->cluster;
  if (node == cluster.volume(0).node()) return "front end";
  const Process* process = cluster.process(node);
  for (const ReplicaStatus& status : process->host().statuses()) {
    if (status.role == Role::primary || status.role == Role::promoting) return "primary";
    for (NodeNumber other = 1; other <= cluster.storage_nodes(); ++other) {
      const Process* peer = cluster.process(other);
      if (peer == nullptr || other == node) continue;
      for (const ReplicaStatus& leads : peer->host().statuses()) {
        if (leads.role != Role::primary || leads.epoch < status.epoch) continue;
        for (const PeerStatus& p : leads.peers) {
          if (p.replica == status.replica && p.state == ReplicaState::in_sync) return "replica";
        }
      }
    }
  }
  return "joining replica";
}

void CrashPoints::reached(NodeNumber who, What what) {
  const std::uint64_t boundary = reached_++;
  if (path_.deaths == 0) {
    ++tally_.boundaries;
    ++tally_.by_role[role(who)];
    ++tally_.by_kind[kind_of(what)];
  }
  if (mode_ == Mode::dying) {
    if (path_.deaths < plan_.deaths.size() && plan_.deaths[path_.deaths].boundary == boundary) {
      die(who, plan_.deaths[path_.deaths]);
    }
  } else if (mode_ == Mode::branching && boundary % stride_ == offset_ % stride_) {
    branch(who, boundary);
  }
}

void CrashPoints::die(NodeNumber who, const Death& death) {
  path_.death[path_.deaths++] = death;
  reached_ = 0;
  open_ = true;
  Cluster& cluster = scene_->cluster;
  cluster.die_here(who, death.power);
  ++down_;
  scene_->scheduler.after(down_for(death, path_.deaths), world,
                          [this, &cluster, who, heals = heals_] {
                            if (heals != heals_) return;
                            --down_;
                            if (who == the_controller) {
                              if (!cluster.controller().running()) cluster.controller().start();
                            } else if (!cluster.running(who)) {
                              cluster.start(who);
                            }
                          });
}

void CrashPoints::branch(NodeNumber who, std::uint64_t boundary) {
  if (path_.deaths == 0) ++tally_.taken;
  for (const bool power : {false, true}) {
    if (power && who == the_controller) continue;  // it has no disk that could forget
    const bool turn = (boundary / stride_) % 2 == (power ? 1 : 0);
    if (plan_.in_turn && who != the_controller && !turn) continue;
    if (path_.deaths == 0) ++(power ? tally_.power_losses : tally_.crashes);
    if (become(who, Death{boundary, power})) return;
  }
  show_progress();
}

// True in the copy, which is about to die.
bool CrashPoints::become(NodeNumber who, const Death& death) {
  if (copy(death) > 0) return false;
  const bool second = plan_.depth > path_.deaths + 1;
  mode_ = Mode::counting;
  if (second) second_deaths();
  die(who, death);
  if (second && mode_ == Mode::branching) {
    stride_ = std::max<std::uint64_t>(1, (stride_ + plan_.second_most - 1) / plan_.second_most);
    offset_ = mix64(death.boundary, death.power ? 1 : 0) % stride_;
  }
  return true;
}

// One more copy of this process goes to the end without a second death and says how long its
// recovery was; this one branches in it, so that its share is known.
void CrashPoints::second_deaths() {
  void* shared = mmap(nullptr, sizeof(std::uint64_t), PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  CHECK(shared != MAP_FAILED);
  auto* length = static_cast<std::uint64_t*>(shared);
  *length = 0;
  plan_.jobs = 1;
  const pid_t child = fork();
  CHECK(child >= 0);
  if (child == 0) {
    bound_cpu_time(plan_.limit_s);
    length_out_ = length;
    return;
  }
  int status = 0;
  waitpid(child, &status, 0);
  if (WIFSIGNALED(status)) raise(WTERMSIG(status));  // our parent knows the path
  board_.recovery_boundaries += *length;
  if (*length == 0) _exit(0);  // it failed before: reported
  stride_ = *length;
  mode_ = Mode::branching;
}

pid_t CrashPoints::copy(const Death& death) {
  while (children_.size() >= plan_.jobs) wait_for_one();
  CrashPath path = path_;
  path.death[path.deaths++] = death;
  std::fflush(nullptr);
  const pid_t child = fork();
  CHECK(child >= 0);
  if (child > 0) {
    children_.emplace(child, path);
    return child;
  }
  copied_ = true;
  children_.clear();
  bound_cpu_time(plan_.limit_s);
  return 0;
}

void CrashPoints::wait_for_one() {
  int status = 0;
  const pid_t child = waitpid(-1, &status, 0);
  const auto found = children_.find(child);
  CHECK(found != children_.end());
  reaped(found->second, status);
  children_.erase(found);
}

void CrashPoints::wait_for_all() {
  while (!children_.empty()) wait_for_one();
}

void CrashPoints::reaped(const CrashPath& path, int status) {
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return;
  board_.ran(path);
  const int signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
  board_.failed(path, Failure::crash,
                signal == SIGPROF ? "no end within its limit of CPU time"
                                  : "the simulator died: " + std::string(strsignal(signal)));
}

void CrashPoints::finish(const RunResult& result) {
  wait_for_all();
  if (!copied_) {
    if (plan_.progress && plan_.depth > 0) std::fprintf(stderr, "\r\033[K");
    return;
  }
  if (mode_ == Mode::branching) _exit(0);  // failed on the way, as the other copy has reported
  board_.ran(path_);
  board_.keep_hash(path_, result.hash);
  if (length_out_ != nullptr && *length_out_ == 0 && result.failure == Failure::none) {
    *length_out_ = reached_;
  }
  if (result.failure != Failure::none) board_.failed(path_, result.failure, result.text);
  _exit(0);
}

void CrashPoints::show_progress() const {
  if (!plan_.progress || path_.deaths > 0 || plan_.expected == 0) return;
  constexpr std::uint64_t width = 40;
  const std::uint64_t done = std::min(width, reached_ * width / plan_.expected);
  std::string bar(width, ' ');
  bar.replace(0, done, done, '#');
  std::fprintf(stderr, "\r[%s] %" PRIu64 "/%" PRIu64 " boundaries, %" PRIu64 " runs, %" PRIu64
               " failed", bar.c_str(), reached_, plan_.expected,
               board_.runs(1) + board_.runs(2), board_.failures.load());
}

}  // namespace seawall::sim
