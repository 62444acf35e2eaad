// Small files, directories and locks. Errors: Failure with the path and the reason.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace seawall::cli {

std::string read_file(const std::string& path);
// Whole or not at all: a temporary file beside it, flushed, then renamed.
void write_file(const std::string& path, const std::string& content);
void make_directories(const std::string& path);
std::string absolute_path(const std::string& path);
// The last lines of a file, without their newlines; empty when it cannot be read.
std::vector<std::string> last_lines(const std::string& path, std::size_t count);

// An exclusive lock on a file, held from construction to destruction. The constructor waits up to
// `timeout_ms`, then fails with ExitCode::conflict.
class FileLock {
 public:
  FileLock(const std::string& path, unsigned timeout_ms);
  ~FileLock();
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;

 private:
  int descriptor_ = -1;
};

}  // namespace seawall::cli
