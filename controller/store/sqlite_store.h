// SqliteStore: the Store in one SQLite file (WAL mode, synchronous FULL).
//
// Purpose: the controller's memory on one machine. Life cycle: open(path) makes the file when it is
// missing and takes `path`.lock for the life of the process: one controller a store. Thread: one.
// Crash: what compare_and_set() answered `committed` is on the media.
// Errors: open() refuses a store in use (Errc::busy), of a newer format (Errc::unknown_version),
// that is damaged or no store (Errc::corrupt); a failed commit is `unknown` and is read back by the
// caller.
#pragma once

#include <memory>
#include <string>

#include "controller/store/store.h"

struct sqlite3;
struct sqlite3_stmt;

namespace seawall::controller {

class SqliteStore : public Store {
 public:
  // `detail` gets one sentence when it fails.
  static Result<std::unique_ptr<SqliteStore>> open(const std::string& path, std::string* detail);
  ~SqliteStore() override;
  SqliteStore(const SqliteStore&) = delete;
  SqliteStore& operator=(const SqliteStore&) = delete;

  Result<std::vector<VolumeRecord>> volumes() override;
  Result<std::optional<VolumeRecord>> volume(VolumeId id) override;
  Result<std::map<VolumeId, Version>> versions() override;
  StoreOutcome compare_and_set(VolumeId id, const std::optional<Version>& expected,
                               const std::optional<VolumeRecord>& next,
                               const ChangeEvent& event) override;
  Result<std::vector<ChangeEvent>> events(VolumeId id, Revision after, std::size_t max) override;
  Result<std::optional<History>> history(VolumeId id) override;
  Result<std::vector<NodeRecord>> nodes() override;
  Status remember(const NodeRecord& node) override;

  [[nodiscard]] std::string last_error() const;

 private:
  SqliteStore() = default;
  Status set_up(std::string* detail);
  Status migrate(std::uint64_t version, std::string* detail);
  bool write_record(VolumeId id, const std::optional<VolumeRecord>& next);
  bool append_event(const ChangeEvent& event);
  bool retire_history(VolumeId id);
  bool run(const char* sql);

  sqlite3* db_ = nullptr;
  int lock_ = -1;
};

}  // namespace seawall::controller
