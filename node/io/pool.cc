#include "node/io/pool.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <boost/json.hpp>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <thread>

#include "engine/base/check.h"
#include "engine/base/fatal.h"
#include "node/io/uring_disk.h"

namespace seawall::io {
namespace {

using PoolId = Id128<struct PoolTag>;

Error errno_error(Errc code, const char* what) {
  return make_error(code, what, static_cast<std::uint64_t>(errno));
}

struct Identity {
  std::string pool_id;
  NodeId node;
  std::string name;
};

std::string to_text(const Identity& identity) {
  const boost::json::object json{{"format", pool_format},
                                 {"pool", identity.pool_id},
                                 {"node", std::to_string(identity.node.value())},
                                 {"name", identity.name}};
  return boost::json::serialize(json) + "\n";
}

Result<Identity> parse(const std::string& text) {
  const Error corrupt = make_error(Errc::corrupt, "pool.json cannot be read");
  boost::system::error_code failed;
  const boost::json::value value = boost::json::parse(text, failed);
  if (failed || !value.is_object()) return corrupt;
  const boost::json::object& json = value.get_object();
  const auto* format = json.if_contains("format");
  if (format == nullptr || !format->is_number()) return corrupt;
  const std::uint64_t number = format->to_number<std::uint64_t>(failed);
  if (failed) return corrupt;
  if (number != pool_format) {
    return make_error(Errc::unknown_version, "pool.json has a format of another release", number);
  }
  const auto text_of = [&](const char* key) -> std::string {
    const auto* found = json.if_contains(key);
    return found != nullptr && found->is_string() ? std::string(found->get_string()) : "";
  };
  Identity identity{text_of("pool"), NodeId{}, text_of("name")};
  const std::string node = text_of("node");
  PoolId ignored;
  if (!PoolId::parse(identity.pool_id.data(), identity.pool_id.size(), ignored)) return corrupt;
  if (node.empty() || node.size() > 20 || node.find_first_not_of("0123456789") != node.npos) {
    return corrupt;
  }
  errno = 0;
  identity.node = NodeId{std::strtoull(node.c_str(), nullptr, 10)};
  if (errno != 0 || identity.node == NodeId{} || identity.name.empty()) return corrupt;
  return identity;
}

}  // namespace

std::uint64_t random_bits() {
  std::uint64_t bits = 0;
  ssize_t got = 0;
  do {
    got = ::getrandom(&bits, sizeof bits, 0);
  } while (got < 0 && errno == EINTR);
  if (got != sizeof bits) FATAL(FatalReason::kernel_refused, "getrandom failed");
  return bits;
}

Status write_by_rename(int directory_fd, const std::string& name, const std::string& text) {
  const std::string fresh = name + ".tmp";
  const int fd = ::openat(directory_fd, fresh.c_str(),
                          O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) return errno_error(Errc::io_error, "a file of the pool cannot be made (errno)");
  std::size_t at = 0;
  while (at < text.size()) {
    const ssize_t step = ::write(fd, text.data() + at, text.size() - at);
    if (step < 0 && errno == EINTR) continue;
    if (step <= 0) break;
    at += static_cast<std::size_t>(step);
  }
  const bool good = at == text.size() && ::fsync(fd) == 0;
  const Error error = errno_error(errno == ENOSPC ? Errc::no_space : Errc::io_error,
                                  "a file of the pool cannot be written (errno)");
  ::close(fd);
  if (!good) {
    ::unlinkat(directory_fd, fresh.c_str(), 0);
    return error;
  }
  if (::renameat(directory_fd, fresh.c_str(), directory_fd, name.c_str()) != 0 ||
      ::fsync(directory_fd) != 0) {
    return errno_error(Errc::io_error, "a file of the pool cannot be put in place (errno)");
  }
  return ok();
}

Result<std::string> read_small_file(int directory_fd, const std::string& name,
                                    std::size_t limit) {
  const int fd = ::openat(directory_fd, name.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0) {
    return errno_error(errno == ENOENT ? Errc::not_found : Errc::io_error,
                       "a file of the pool cannot be opened (errno)");
  }
  std::string text(limit + 1, '\0');
  std::size_t at = 0;
  while (at < text.size()) {
    const ssize_t step = ::read(fd, text.data() + at, text.size() - at);
    if (step < 0 && errno == EINTR) continue;
    if (step < 0) {
      const Error error = errno_error(Errc::io_error, "a file of the pool cannot be read (errno)");
      ::close(fd);
      return error;
    }
    if (step == 0) break;
    at += static_cast<std::size_t>(step);
  }
  ::close(fd);
  if (at > limit) return make_error(Errc::corrupt, "a file of the pool is too long");
  text.resize(at);
  return text;
}

Result<std::unique_ptr<Pool>> Pool::open(const PoolOptions& options) {
  std::unique_ptr<Pool> pool(new Pool);
  pool->path_ = options.path;
  std::error_code ignored;  // the directory itself tells what is wrong
  std::filesystem::create_directories(std::filesystem::path(options.path).parent_path(), ignored);
  if (::mkdir(options.path.c_str(), 0700) != 0 && errno != EEXIST) {
    return errno_error(Errc::permission, "the directory cannot be made (errno)");
  }
  pool->directory_fd_ = ::open(options.path.c_str(), O_DIRECTORY | O_RDONLY | O_CLOEXEC);
  if (pool->directory_fd_ < 0) {
    return errno_error(Errc::permission, "the directory cannot be opened (errno)");
  }
  TRY(probe_direct(pool->directory_fd_));
  TRY(pool->lock(options.lock_wait_ms));
  TRY(pool->read_or_create(options.node_name));
  TRY(pool->sweep());
  return pool;
}

Pool::~Pool() {
  if (lock_fd_ >= 0) ::close(lock_fd_);
  if (directory_fd_ >= 0) ::close(directory_fd_);
}

Status Pool::lock(std::uint32_t wait_ms) {
  lock_fd_ = ::openat(directory_fd_, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (lock_fd_ < 0) return errno_error(Errc::permission, "the lock file cannot be made (errno)");
  const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(wait_ms);
  while (::flock(lock_fd_, LOCK_EX | LOCK_NB) != 0) {
    if (errno == EINTR) continue;
    if (errno != EWOULDBLOCK) return errno_error(Errc::io_error, "flock failed (errno)");
    if (std::chrono::steady_clock::now() >= until) {
      return make_error(Errc::busy, "the pool is in use by another daemon");
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return ok();
}

Status Pool::read_or_create(const std::string& node_name) {
  const auto text = read_small_file(directory_fd_, "pool.json", 64 * 1024);
  if (text) {
    TRY_ASSIGN(const Identity identity, parse(*text));
    if (identity.name != node_name) {
      return make_error(Errc::refused, "the pool belongs to another node");
    }
    pool_id_ = identity.pool_id;
    node_ = identity.node;
    return ok();
  }
  if (text.error().code != Errc::not_found) return text.error();
  // A pool that holds replicas has an identity; one without it was damaged, and is not made anew.
  std::error_code ignored;
  if (std::filesystem::exists(replicas_path(), ignored) &&
      !std::filesystem::is_empty(replicas_path(), ignored)) {
    return make_error(Errc::corrupt, "there are replicas, but no pool.json");
  }
  const PoolId fresh{random_bits(), random_bits()};
  pool_id_ = fresh.to_hex().data();
  do {
    node_ = NodeId{random_bits() >> 1};
  } while (node_ == NodeId{});
  return write_by_rename(directory_fd_, "pool.json", to_text({pool_id_, node_, node_name}));
}

Status Pool::sweep() {
  if (::mkdirat(directory_fd_, "replicas", 0700) != 0 && errno != EEXIST) {
    return errno_error(Errc::permission, "the directory replicas cannot be made (errno)");
  }
  std::error_code failed;
  for (const auto& entry : std::filesystem::directory_iterator(replicas_path(), failed)) {
    const std::string extension = entry.path().extension();
    if (extension == ".new" || extension == ".gone") {
      std::error_code ignored;
      std::filesystem::remove_all(entry.path(), ignored);
    }
  }
  if (failed) return make_error(Errc::io_error, "the directory replicas cannot be read");
  if (::fsync(directory_fd_) != 0) return errno_error(Errc::io_error, "fsync failed (errno)");
  return ok();
}

PoolSpace Pool::space() const {
  struct statvfs info{};
  if (::fstatvfs(directory_fd_, &info) != 0) return {};
  return {info.f_blocks * info.f_frsize, info.f_bavail * info.f_frsize};
}

std::string pool_sentence(const std::string& path, const Error& error) {
  const std::string head = "the pool " + path + " cannot be used: ";
  switch (error.code) {
    case Errc::busy: return head + "another daemon is using it; stop that one first";
    case Errc::corrupt:
      return head + error.what + "; restore pool.json from a backup, or give an empty directory";
    case Errc::refused:
      return head + error.what + "; start the daemon with the --name that made it";
    case Errc::unknown_version:
      return head + error.what + " (" + std::to_string(error.a) + "; this one knows " +
             std::to_string(pool_format) + ")";
    case Errc::not_supported:
      return head + "its file system does not support O_DIRECT; use ext4, xfs, or a tmpfs of "
                    "Linux 6.6 or newer";
    default: return head + error.what + (error.a != 0 ? " " + std::to_string(error.a) : "");
  }
}

}  // namespace seawall::io
