#include "cli/files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <deque>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include "cli/failure.h"

namespace seawall::cli {
namespace {

[[noreturn]] void fail(const char* verb, const std::string& path, int error) {
  throw Failure(ExitCode::failed,
                fmt::format("{} cannot be {}: {}", path, verb, std::strerror(error)));
}

bool write_all(int descriptor, const std::string& content) {
  std::size_t done = 0;
  while (done < content.size()) {
    const ssize_t moved = ::write(descriptor, content.data() + done, content.size() - done);
    if (moved < 0 && errno == EINTR) continue;
    if (moved < 0) return false;
    done += static_cast<std::size_t>(moved);
  }
  return true;
}

}  // namespace

std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream content;
  if (!file || !(content << file.rdbuf())) {
    if (file && file.peek() == std::ifstream::traits_type::eof()) return "";
    fail("read", path, errno);
  }
  return content.str();
}

void write_file(const std::string& path, const std::string& content) {
  const std::string temporary = fmt::format("{}.{}.tmp", path, ::getpid());
  const int file = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (file < 0) fail("written", temporary, errno);
  const bool written = write_all(file, content) && ::fsync(file) == 0;
  const int error = errno;
  ::close(file);
  if (!written || ::rename(temporary.c_str(), path.c_str()) != 0) {
    const int reason = written ? errno : error;
    ::unlink(temporary.c_str());
    fail("written", path, reason);
  }
}

void make_directories(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) fail("made", path, error.value());
}

std::string absolute_path(const std::string& path) {
  std::error_code error;
  const std::filesystem::path full = std::filesystem::weakly_canonical(path, error);
  if (error) fail("resolved", path, error.value());
  std::string text = full.string();
  while (text.size() > 1 && text.back() == '/') text.pop_back();
  return text;
}

std::vector<std::string> last_lines(const std::string& path, std::size_t count) {
  std::ifstream file(path);
  std::deque<std::string> lines;
  for (std::string line; std::getline(file, line);) {
    lines.push_back(std::move(line));
    if (lines.size() > count) lines.pop_front();
  }
  return {lines.begin(), lines.end()};
}

FileLock::FileLock(const std::string& path, unsigned timeout_ms) {
  descriptor_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (descriptor_ < 0) fail("opened", path, errno);
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(timeout_ms);
  while (::flock(descriptor_, LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK && errno != EINTR) {
      const int error = errno;
      ::close(descriptor_);
      fail("locked", path, error);
    }
    if (std::chrono::steady_clock::now() >= deadline) {
      ::close(descriptor_);
      throw Failure(ExitCode::conflict,
                    fmt::format("another command is changing this cluster: it holds {}", path));
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
}

FileLock::~FileLock() { ::close(descriptor_); }

}  // namespace seawall::cli
