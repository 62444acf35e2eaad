#include "cli/process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include "cli/failure.h"

extern char** environ;

namespace seawall::cli {
namespace {

constexpr int kFieldsToStartTime = 20;  // after the name: state is the first

std::string first_line(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

std::string boot_id() { return first_line("/proc/sys/kernel/random/boot_id"); }

class SpawnSetup {
 public:
  explicit SpawnSetup(const std::string& log_path) {
    posix_spawn_file_actions_init(&actions_);
    posix_spawnattr_init(&attributes_);
    posix_spawn_file_actions_addopen(&actions_, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions_, 1, log_path.c_str(), O_WRONLY | O_CREAT | O_APPEND,
                                     0644);
    posix_spawn_file_actions_adddup2(&actions_, 1, 2);
    posix_spawn_file_actions_addclosefrom_np(&actions_, 3);
    sigset_t signals;
    sigemptyset(&signals);
    posix_spawnattr_setsigmask(&attributes_, &signals);
    sigfillset(&signals);
    posix_spawnattr_setsigdefault(&attributes_, &signals);
    posix_spawnattr_setflags(&attributes_,
                             POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  }
  ~SpawnSetup() {
    posix_spawn_file_actions_destroy(&actions_);
    posix_spawnattr_destroy(&attributes_);
  }
  SpawnSetup(const SpawnSetup&) = delete;
  SpawnSetup& operator=(const SpawnSetup&) = delete;

  posix_spawn_file_actions_t* actions() { return &actions_; }
  posix_spawnattr_t* attributes() { return &attributes_; }

 private:
  posix_spawn_file_actions_t actions_{};
  posix_spawnattr_t attributes_{};
};

}  // namespace

std::optional<std::uint64_t> start_ticks_of_stat(const std::string& line) {
  const std::size_t name_end = line.rfind(')');
  if (name_end == std::string::npos) return std::nullopt;
  std::istringstream fields(line.substr(name_end + 1));
  std::string field;
  for (int i = 1; i <= kFieldsToStartTime; ++i) {
    if (!(fields >> field)) return std::nullopt;
    if (i == 1 && (field == "Z" || field == "X")) return std::nullopt;
  }
  char* end = nullptr;
  errno = 0;
  const std::uint64_t ticks = std::strtoull(field.c_str(), &end, 10);
  if (errno != 0 || *end != '\0') return std::nullopt;
  return ticks;
}

std::optional<ProcessIdentity> identify(pid_t pid) {
  const auto ticks = start_ticks_of_stat(first_line(fmt::format("/proc/{}/stat", pid)));
  if (!ticks) return std::nullopt;
  return ProcessIdentity{pid, *ticks, boot_id()};
}

bool is_alive(const ProcessIdentity& process) {
  const std::optional<ProcessIdentity> now = identify(process.pid);
  return now && *now == process;
}

std::string pid_file_text(const ProcessIdentity& process) {
  return fmt::format("{} {} {}\n", process.pid, process.start_ticks, process.boot);
}

std::optional<ProcessIdentity> parse_pid_file(const std::string& text) {
  std::istringstream in(text);
  ProcessIdentity process;
  std::string rest;
  if (!(in >> process.pid >> process.start_ticks >> process.boot) || (in >> rest)) {
    return std::nullopt;
  }
  if (process.pid <= 0) return std::nullopt;
  return process;
}

std::optional<ProcessIdentity> living_process(const std::string& pid_path) {
  const std::optional<ProcessIdentity> process = parse_pid_file(first_line(pid_path));
  if (!process || !is_alive(*process)) return std::nullopt;
  return process;
}

ProcessIdentity start_daemon(const std::string& program, const std::vector<std::string>& arguments,
                             const std::string& log_path) {
  if (!std::filesystem::exists(program)) {
    throw Failure(
        ExitCode::not_found,
        fmt::format("{} is not there: the daemons must lie beside this program", program));
  }
  std::vector<char*> argv{const_cast<char*>(program.c_str())};
  for (const std::string& word : arguments) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  SpawnSetup setup(log_path);
  pid_t pid = 0;
  const int error = ::posix_spawn(&pid, program.c_str(), setup.actions(), setup.attributes(),
                                  argv.data(), environ);
  if (error != 0) {
    throw Failure(ExitCode::failed,
                  fmt::format("{} cannot be started: {}", program, std::strerror(error)));
  }
  const std::optional<ProcessIdentity> process = identify(pid);
  // It may have died at once: then the caller finds it dead, with its end and its log.
  return process.value_or(ProcessIdentity{pid, 0, boot_id()});
}

std::string child_end(pid_t pid) {
  int status = 0;
  if (::waitpid(pid, &status, WNOHANG) != pid) return "";
  if (WIFEXITED(status)) return fmt::format("exited with status {}", WEXITSTATUS(status));
  if (WIFSIGNALED(status)) return fmt::format("was killed by signal {}", WTERMSIG(status));
  return "";
}

bool send_signal(const ProcessIdentity& process, int signal) {
  return is_alive(process) && ::kill(process.pid, signal) == 0;
}

bool wait_gone(const ProcessIdentity& process, std::chrono::milliseconds timeout) {
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  while (is_alive(process)) {
    if (std::chrono::steady_clock::now() >= deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return true;
}

}  // namespace seawall::cli
