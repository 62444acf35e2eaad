#include "cli/local_cluster.h"

#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <filesystem>
#include <thread>

#include "cli/daemon_args.h"
#include "cli/files.h"
#include "cli/network.h"
#include "cli/rpc.h"

namespace seawall::cli {
namespace {

constexpr std::size_t kLogLines = 12;
constexpr auto kStopTimeout = std::chrono::seconds(10);
constexpr auto kKillTimeout = std::chrono::seconds(5);
constexpr auto kPollInterval = std::chrono::milliseconds(50);
constexpr std::uint64_t kProbeTimeoutMs = 2'000;

volatile sig_atomic_t g_interrupted = 0;

void on_interrupt(int /*signal*/) { g_interrupted = 1; }

}  // namespace

std::string program_directory() {
  std::error_code error;
  const std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe", error);
  if (error) throw Failure(ExitCode::failed, "this program cannot tell where it lies");
  return self.parent_path().string();
}

InterruptGuard::InterruptGuard() {
  g_interrupted = 0;
  ::signal(SIGINT, on_interrupt);
  ::signal(SIGTERM, on_interrupt);
}

InterruptGuard::~InterruptGuard() {
  ::signal(SIGINT, SIG_DFL);
  ::signal(SIGTERM, SIG_DFL);
}

bool InterruptGuard::interrupted() { return g_interrupted != 0; }

std::optional<ProcessIdentity> LocalCluster::process(const DaemonRecord& daemon) const {
  return living_process(record_.pid_path(daemon));
}

bool LocalCluster::start(const DaemonRecord& daemon) {
  if (process(daemon)) return false;
  make_directories(record_.run_directory);
  make_directories(record_.directory + "/logs");
  // SO_REUSEADDR on both sides, so what this finds taken is taken by a listener.
  std::string reason = why_not_bindable(daemon.address);
  // A daemon that was killed may hold its port while the kernel still ends its I/O.
  const bool ran_before = std::filesystem::exists(record_.pid_path(daemon));
  const auto deadline = std::chrono::steady_clock::now() + kStopTimeout;
  while (!reason.empty() && ran_before && std::chrono::steady_clock::now() < deadline) {
    std::this_thread::sleep_for(kPollInterval);
    reason = why_not_bindable(daemon.address);
  }
  if (!reason.empty()) {
    throw Failure(ExitCode::conflict, fmt::format("{} is not started: {}", daemon.name, reason));
  }
  const std::string bin = program_directory();
  std::string program;
  std::vector<std::string> arguments;
  if (daemon.role == DaemonRole::controller) {
    program = bin + "/seawall-controller";
    arguments = command_line(ControllerArgs{record_.directory + "/controller", daemon.address});
  } else {
    make_directories(std::filesystem::path(daemon.pool).parent_path().string());
    program = bin + "/seawall-node";
    arguments = command_line(NodeArgs{daemon.name, daemon.pool, daemon.address,
                                      record_.controller().address, daemon.socket});
  }
  const ProcessIdentity started = start_daemon(program, arguments, record_.log_path(daemon));
  write_file(record_.pid_path(daemon), pid_file_text(started));
  return true;
}

std::string LocalCluster::why_not_ready(const DaemonRecord& daemon) const {
  try {
    ControllerClient controller(record_.controller().address, kProbeTimeoutMs);
    const std::vector<pb::Node> nodes = controller.list_nodes();
    if (daemon.role == DaemonRole::controller) return "";
    for (const pb::Node& node : nodes) {
      if (node.name() != daemon.name) continue;
      if (node.state() != "alive") return fmt::format("the controller calls it {}", node.state());
      const pb::LocalStatusResponse status = NodeClient(daemon.socket, kProbeTimeoutMs).status();
      if (!status.ready()) return "it is opening its replicas";
      return status.registered() ? "" : "it is not registered with its controller";
    }
    return "it has not registered with the controller";
  } catch (const Failure& failure) {
    return failure.what();
  }
}

void LocalCluster::wait_ready(const std::vector<const DaemonRecord*>& which,
                              std::uint64_t timeout_ms) const {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(timeout_ms);
  for (const DaemonRecord* const daemon : which) {
    std::string reason = why_not_ready(*daemon);
    while (!reason.empty()) {
      for (const DaemonRecord* const one : which) check_alive(*one);
      if (InterruptGuard::interrupted()) throw Failure(ExitCode::failed, "interrupted");
      if (std::chrono::steady_clock::now() >= deadline) {
        throw Failure(
            ExitCode::timed_out,
            fmt::format("{} is not ready after {} ms: {}; the end of {}:\n{}", daemon->name,
                        timeout_ms, reason, record_.log_path(*daemon), log_tail(*daemon)));
      }
      std::this_thread::sleep_for(kPollInterval);
      reason = why_not_ready(*daemon);
    }
    check_alive(*daemon);
  }
}

bool LocalCluster::stop(const DaemonRecord& daemon) {
  const std::optional<ProcessIdentity> running = process(daemon);
  bool clean = true;
  if (running) {
    send_signal(*running, SIGTERM);
    clean = wait_gone(*running, kStopTimeout);
    if (!clean) {
      send_signal(*running, SIGKILL);
      if (!wait_gone(*running, kKillTimeout)) {
        throw Failure(
            ExitCode::timed_out,
            fmt::format("{} (pid {}) is still there 5 s after SIGKILL", daemon.name, running->pid));
      }
    }
  }
  ::unlink(record_.pid_path(daemon).c_str());
  return clean;
}

void LocalCluster::check_alive(const DaemonRecord& daemon) const {
  if (process(daemon)) return;
  const auto recorded = parse_pid_file(read_file(record_.pid_path(daemon)));
  std::string end = recorded ? child_end(recorded->pid) : "";
  if (end.empty()) end = "has ended";
  throw Failure(ExitCode::failed, fmt::format("{} {}; the end of {}:\n{}", daemon.name, end,
                                              record_.log_path(daemon), log_tail(daemon)));
}

std::string LocalCluster::log_tail(const DaemonRecord& daemon) const {
  std::string out;
  for (const std::string& line : last_lines(record_.log_path(daemon), kLogLines)) {
    out += "    " + line + "\n";
  }
  if (!out.empty()) out.pop_back();
  return out.empty() ? "    (nothing was logged)" : out;
}

}  // namespace seawall::cli
