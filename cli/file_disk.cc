#include "cli/file_disk.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>

#include "engine/base/check.h"

namespace seawall::cli {
namespace {

Error refuse_change() {
  return make_error(Errc::read_only, "the inspector changes nothing on disk");
}

Error error_of(int number, const char* what) {
  const Errc code = number == ENOENT   ? Errc::not_found
                    : number == EACCES ? Errc::permission
                                       : Errc::io_error;
  return make_error(code, what, static_cast<std::uint64_t>(number));
}

}  // namespace

FileDisk::~FileDisk() = default;

void FileDisk::submit(wal::Op& /*op*/) {
  CHECK_MSG(false, "the inspector uses the blocking face only");
}

Result<wal::FileId> FileDisk::open(const std::string& name) {
  const std::string path = directory_ + "/" + name;
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return error_of(errno, "the file cannot be opened");
  if (::flock(file, LOCK_SH | LOCK_NB) != 0) {
    ::close(file);
    return make_error(Errc::busy, "a daemon is using this file; stop it first");
  }
  return file;
}

void FileDisk::close(wal::FileId file) { ::close(file); }

Result<std::uint64_t> FileDisk::size(wal::FileId file) {
  struct stat facts {};
  if (::fstat(file, &facts) != 0) return error_of(errno, "the size cannot be read");
  return static_cast<std::uint64_t>(facts.st_size);
}

Status FileDisk::read(wal::FileId file, std::uint64_t offset, std::span<std::byte> into) {
  std::size_t done = 0;
  while (done < into.size()) {
    const ssize_t moved =
        ::pread(file, into.data() + done, into.size() - done, static_cast<off_t>(offset + done));
    if (moved < 0 && errno == EINTR) continue;
    if (moved < 0) return error_of(errno, "a read failed");
    if (moved == 0) return make_error(Errc::io_error, "the file ends too early", offset + done);
    done += static_cast<std::size_t>(moved);
  }
  return ok();
}

Result<std::vector<wal::FileInfo>> FileDisk::list(const std::string& directory) {
  std::vector<wal::FileInfo> files;
  std::error_code error;
  std::filesystem::directory_iterator entries(directory_ + "/" + directory, error);
  if (error) return error_of(error.value(), "the directory cannot be listed");
  for (const auto& entry : entries) {
    if (!entry.is_regular_file(error)) continue;
    files.push_back({entry.path().filename().string(), entry.file_size(error)});
  }
  std::sort(files.begin(), files.end(),
            [](const wal::FileInfo& a, const wal::FileInfo& b) { return a.name < b.name; });
  return files;
}

Result<wal::FileId> FileDisk::create(const std::string& /*name*/, std::uint64_t /*size*/) {
  return refuse_change();
}
Status FileDisk::resize(wal::FileId /*file*/, std::uint64_t /*size*/) { return refuse_change(); }
Status FileDisk::write(wal::FileId /*file*/, std::uint64_t /*offset*/,
                       std::span<const std::byte> /*from*/) {
  return refuse_change();
}
Status FileDisk::sync(wal::FileId /*file*/) { return refuse_change(); }
Status FileDisk::make_directory(const std::string& /*name*/) { return refuse_change(); }
Status FileDisk::remove(const std::string& /*name*/) { return refuse_change(); }
Status FileDisk::sync_directory(const std::string& /*name*/) { return refuse_change(); }

}  // namespace seawall::cli
