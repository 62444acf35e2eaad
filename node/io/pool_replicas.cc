#include "node/io/pool_replicas.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <boost/json.hpp>
#include <cerrno>
#include <filesystem>

#include "engine/base/check.h"
#include "engine/base/mutant.h"

namespace seawall::io {
namespace {

constexpr const char* kRecordName = "replica.json";

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }

 private:
  const int fd_;
};

int open_directory(const std::string& path) {
  return ::open(path.c_str(), O_DIRECTORY | O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
}

// Stands for a disk whose directory cannot be opened: everything fails with that error.
class FailedDisk final : public wal::Disk {
 public:
  explicit FailedDisk(Error error) : error_(error) {}
  void submit(wal::Op&) override { UNREACHABLE("no file of this disk was ever opened"); }
  Result<wal::FileId> open(const std::string&) override { return error_; }
  Result<wal::FileId> create(const std::string&, std::uint64_t) override { return error_; }
  void close(wal::FileId) override {}
  Result<std::uint64_t> size(wal::FileId) override { return error_; }
  Status resize(wal::FileId, std::uint64_t) override { return error_; }
  Status read(wal::FileId, std::uint64_t, std::span<std::byte>) override { return error_; }
  Status write(wal::FileId, std::uint64_t, std::span<const std::byte>) override { return error_; }
  Status sync(wal::FileId) override { return error_; }
  Result<std::vector<wal::FileInfo>> list(const std::string&) override { return error_; }
  Status make_directory(const std::string&) override { return error_; }
  Status remove(const std::string&) override { return error_; }
  Status sync_directory(const std::string&) override { return error_; }

 private:
  const Error error_;
};

std::string to_text(const runtime::ReplicaRecord& record, const std::string& pool_id) {
  const boost::json::object json{{"format", pool_format},
                                 {"replica", std::to_string(record.replica.value())},
                                 {"pool", pool_id},
                                 {"volume", record.volume.to_hex().data()},
                                 {"volume_name", record.volume_name},
                                 {"incarnation", record.incarnation.to_hex().data()}};
  return boost::json::serialize(json) + "\n";
}

// Empty when it is good, else why not. A record of an older release names no pool.
std::string parse(const std::string& text, const std::string& directory,
                  const std::string& pool_id, runtime::ReplicaRecord& out) {
  boost::system::error_code failed;
  const boost::json::value value = boost::json::parse(text, failed);
  if (failed || !value.is_object()) return "replica.json cannot be read";
  const boost::json::object& json = value.get_object();
  const auto* format = json.if_contains("format");
  if (format == nullptr || !format->is_int64()) return "replica.json has no format";
  if (format->get_int64() != static_cast<std::int64_t>(pool_format)) {
    return "replica.json has the format of another release: " +
           std::to_string(format->get_int64());
  }
  const auto text_of = [&](const char* key) -> std::string {
    const auto* found = json.if_contains(key);
    return found != nullptr && found->is_string() ? std::string(found->get_string()) : "";
  };
  if (text_of("replica") != directory) return "it is the directory of another replica";
  const std::string pool = text_of("pool");
  if (!pool.empty() && pool != pool_id && !MUTANT(M166)) {
    return "it was made in another pool, " + pool;
  }
  out.replica = ReplicaId{std::strtoull(directory.c_str(), nullptr, 10)};
  out.volume_name = text_of("volume_name");
  const std::string volume = text_of("volume");
  const std::string incarnation = text_of("incarnation");
  if (!VolumeId::parse(volume.data(), volume.size(), out.volume) ||
      !Incarnation::parse(incarnation.data(), incarnation.size(), out.incarnation)) {
    return "replica.json names no volume";
  }
  return {};
}

}  // namespace

PoolReplicas::PoolReplicas(const Pool& pool, Reactor& reactor, Problem problem)
    : pool_(pool), reactor_(reactor), problem_(std::move(problem)) {}

std::string PoolReplicas::path_of(ReplicaId replica) const {
  return pool_.replicas_path() + "/" + std::to_string(replica.value());
}

std::vector<runtime::ReplicaRecord> PoolReplicas::list() {
  std::vector<runtime::ReplicaRecord> records;
  std::error_code failed;
  for (const auto& entry : std::filesystem::directory_iterator(pool_.replicas_path(), failed)) {
    const std::string name = entry.path().filename();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    const Descriptor directory(open_directory(entry.path()));
    runtime::ReplicaRecord record;
    std::string why = "its directory cannot be opened";
    if (directory.get() >= 0) {
      const auto text = read_small_file(directory.get(), kRecordName, 64 * 1024);
      why = text ? parse(*text, name, pool_.pool_id(), record) : std::string(text.error().what);
    }
    if (why.empty()) {
      records.push_back(record);
    } else {
      problem_("replica " + name + " is left out: " + why);
    }
  }
  if (failed) problem_("the directory of the replicas cannot be read: " + failed.message());
  std::sort(records.begin(), records.end(),
            [](const auto& a, const auto& b) { return a.replica < b.replica; });
  return records;
}

Status PoolReplicas::create(const runtime::ReplicaRecord& record,
                            const wal::CreateOptions& options) {
  const std::string path = path_of(record.replica);
  const std::string fresh = path + ".new";
  std::error_code ignored;
  if (std::filesystem::exists(path, ignored)) {
    return make_error(Errc::already_exists, "the pool holds a replica of that id");
  }
  std::filesystem::remove_all(fresh, ignored);
  const Status made = make(fresh, record, options);
  if (!made) {
    std::filesystem::remove_all(fresh, ignored);
    return made;
  }
  const Descriptor parent(open_directory(pool_.replicas_path()));
  if (parent.get() < 0 || ::rename(fresh.c_str(), path.c_str()) != 0 ||
      ::fsync(parent.get()) != 0) {
    return make_error(Errc::io_error, "a new replica cannot be put in place (errno)",
                      static_cast<std::uint64_t>(errno));
  }
  return ok();
}

Status PoolReplicas::make(const std::string& path, const runtime::ReplicaRecord& record,
                          const wal::CreateOptions& options) {
  if (::mkdir(path.c_str(), 0700) != 0) {
    return make_error(errno == ENOSPC ? Errc::no_space : Errc::io_error,
                      "a replica's directory cannot be made (errno)",
                      static_cast<std::uint64_t>(errno));
  }
  TRY_ASSIGN(const auto disk, UringDisk::open(reactor_, path));
  TRY(wal::Store::create_blocking(*disk, options));
  const Descriptor directory(open_directory(path));
  return write_by_rename(directory.get(), kRecordName, to_text(record, pool_.pool_id()));
}

Status PoolReplicas::remove(ReplicaId replica) {
  const std::string path = path_of(replica);
  const std::string gone = path + ".gone";
  const Descriptor parent(open_directory(pool_.replicas_path()));
  std::error_code ignored;
  std::filesystem::remove_all(gone, ignored);
  if (::rename(path.c_str(), gone.c_str()) != 0) {
    if (errno == ENOENT) return make_error(Errc::not_found, "no such replica");
    return make_error(Errc::io_error, "a replica cannot be removed (errno)",
                      static_cast<std::uint64_t>(errno));
  }
  if (parent.get() < 0 || ::fsync(parent.get()) != 0) {
    return make_error(Errc::io_error, "the directory of the replicas cannot be flushed");
  }
  std::filesystem::remove_all(gone, ignored);  // what stays is swept at the next start
  return ok();
}

wal::Disk& PoolReplicas::disk(ReplicaId replica) {
  std::unique_ptr<wal::Disk>& disk = disks_[replica];
  if (disk == nullptr) {
    auto opened = UringDisk::open(reactor_, path_of(replica));
    if (opened) {
      disk = std::move(opened).value();
    } else {
      problem_("replica " + std::to_string(replica.value()) + ": " + opened.error().what);
      disk = std::make_unique<FailedDisk>(opened.error());
    }
  }
  return *disk;
}

void PoolReplicas::close(ReplicaId replica) { disks_.erase(replica); }

}  // namespace seawall::io
