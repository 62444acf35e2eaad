// Daemons as processes of this machine: start, recognise, signal, wait.
//
// A process is recognised by pid, start time and boot id, so a pid that was given to somebody else,
// or that comes from before a reboot, is never taken for ours and never signalled. Thread: any.
// Errors: Failure.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace seawall::cli {

struct ProcessIdentity {
  pid_t pid = 0;
  std::uint64_t start_ticks = 0;  // since boot: field 22 of /proc/PID/stat
  std::string boot;               // boot id of the kernel
  friend bool operator==(const ProcessIdentity&, const ProcessIdentity&) = default;
};

// The start time in a line of /proc/PID/stat; nothing for a dead (zombie) process or other text.
// The name in it may hold spaces and parentheses.
std::optional<std::uint64_t> start_ticks_of_stat(const std::string& line);

std::optional<ProcessIdentity> identify(pid_t pid);
bool is_alive(const ProcessIdentity& process);

std::string pid_file_text(const ProcessIdentity& process);
std::optional<ProcessIdentity> parse_pid_file(const std::string& text);
// The living process that a pid file names, else nothing: missing, damaged and stale files alike.
std::optional<ProcessIdentity> living_process(const std::string& pid_path);

// Starts `program` in a session of its own, standard output and error appended to `log_path`. It
// outlives this process.
ProcessIdentity start_daemon(const std::string& program, const std::vector<std::string>& arguments,
                             const std::string& log_path);

// Why our own child ended, as a clause ("exited with status 2", "was killed by signal 9"); empty
// while it runs or when it is no child of this process.
std::string child_end(pid_t pid);

bool send_signal(const ProcessIdentity& process, int signal);
// True when it is gone within the time.
bool wait_gone(const ProcessIdentity& process, std::chrono::milliseconds timeout);

}  // namespace seawall::cli
