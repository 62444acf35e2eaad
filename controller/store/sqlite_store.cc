#include "controller/store/sqlite_store.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "controller/store/codec.h"

namespace seawall::controller {
namespace {

constexpr int format_version = 2;
constexpr int application_id = 0x53454157;  // "SEAW"

// Epochs and revisions are columns as well, so that the compare is the database's own.
constexpr const char* schema =
    "CREATE TABLE IF NOT EXISTS volumes(id TEXT PRIMARY KEY, name TEXT NOT NULL,"
    " epoch INTEGER NOT NULL, revision INTEGER NOT NULL, record BLOB NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS nodes(id INTEGER PRIMARY KEY, name TEXT NOT NULL,"
    " record BLOB NOT NULL);"
    "CREATE TABLE IF NOT EXISTS events(volume TEXT NOT NULL, revision INTEGER NOT NULL,"
    " epoch INTEGER NOT NULL, type TEXT NOT NULL, fields TEXT NOT NULL,"
    " PRIMARY KEY(volume, revision)) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS gone(sequence INTEGER PRIMARY KEY AUTOINCREMENT,"
    " volume TEXT NOT NULL UNIQUE);";

// A prepared statement for one use.
class Statement {
 public:
  Statement(sqlite3* db, const char* sql) {
    if (sqlite3_prepare_v2(db, sql, -1, &handle_, nullptr) != SQLITE_OK) handle_ = nullptr;
  }
  ~Statement() { sqlite3_finalize(handle_); }
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;

  Statement& text(int index, const std::string& value) {
    if (handle_ != nullptr) {
      sqlite3_bind_text(handle_, index, value.data(), static_cast<int>(value.size()),
                        SQLITE_TRANSIENT);
    }
    return *this;
  }
  Statement& blob(int index, const std::string& value) {
    if (handle_ != nullptr) {
      sqlite3_bind_blob(handle_, index, value.data(), static_cast<int>(value.size()),
                        SQLITE_TRANSIENT);
    }
    return *this;
  }
  Statement& number(int index, std::uint64_t value) {
    if (handle_ != nullptr) sqlite3_bind_int64(handle_, index, static_cast<sqlite3_int64>(value));
    return *this;
  }
  int step() { return handle_ == nullptr ? SQLITE_ERROR : sqlite3_step(handle_); }
  std::string column(int index) {
    const void* bytes = sqlite3_column_blob(handle_, index);
    const int size = sqlite3_column_bytes(handle_, index);
    return bytes == nullptr
               ? std::string()
               : std::string(static_cast<const char*>(bytes), static_cast<std::size_t>(size));
  }
  std::uint64_t column_number(int index) {
    return static_cast<std::uint64_t>(sqlite3_column_int64(handle_, index));
  }

 private:
  sqlite3_stmt* handle_ = nullptr;
};

std::string key_of(VolumeId id) { return id.to_hex().data(); }

Status failed_read() { return make_error(Errc::io_error, "the store cannot be read"); }

}  // namespace

Result<std::unique_ptr<SqliteStore>> SqliteStore::open(const std::string& path,
                                                       std::string* detail) {
  std::unique_ptr<SqliteStore> store(new SqliteStore);
  const std::string lock_path = path + ".lock";
  store->lock_ = ::open(lock_path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (store->lock_ < 0) {
    *detail = "cannot open " + lock_path + ": " + std::strerror(errno);
    return make_error(Errc::io_error, "the lock file cannot be opened");
  }
  if (::flock(store->lock_, LOCK_EX | LOCK_NB) != 0) {
    *detail = path + " is in use by another controller, stop it or give another directory";
    return make_error(Errc::busy, "the store is in use");
  }
  if (sqlite3_open_v2(path.c_str(), &store->db_, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE,
                      nullptr) != SQLITE_OK) {
    *detail = "cannot open " + path + ": " + store->last_error();
    return make_error(Errc::io_error, "the store cannot be opened");
  }
  const Status ready = store->set_up(detail);
  if (!ready) {
    *detail = path + ": " + *detail;
    return ready.error();
  }
  return store;
}

Status SqliteStore::set_up(std::string* detail) {
  sqlite3_busy_timeout(db_, 5'000);
  const auto refuse = [&](Errc code, std::string text) {
    *detail = std::move(text);
    return make_error(code, "the store cannot be used");
  };
  std::uint64_t application = 0;
  std::uint64_t version = 0;
  {
    Statement pragma(db_, "PRAGMA application_id");
    if (pragma.step() != SQLITE_ROW)
      return refuse(Errc::corrupt, "it is no store: " + last_error());
    application = pragma.column_number(0);
  }
  {
    Statement pragma(db_, "PRAGMA user_version");
    if (pragma.step() != SQLITE_ROW)
      return refuse(Errc::corrupt, "it is no store: " + last_error());
    version = pragma.column_number(0);
  }
  const bool fresh = application == 0 && version == 0;
  if (!fresh && application != application_id) {
    return refuse(Errc::corrupt, "it is a database of another program");
  }
  if (version > format_version) {
    return refuse(Errc::unknown_version, "it has format " + std::to_string(version) +
                                             ", this program knows " +
                                             std::to_string(format_version) + ": use a newer one");
  }
  if (!run("PRAGMA journal_mode=WAL") || !run("PRAGMA synchronous=FULL")) {
    return refuse(Errc::io_error, "it cannot be written: " + last_error());
  }
  {
    Statement check(db_, "PRAGMA quick_check(1)");
    if (check.step() != SQLITE_ROW || check.column(0) != "ok") {
      return refuse(Errc::corrupt, "it is damaged: " + last_error());
    }
  }
  if (!fresh && version == format_version) return Status();
  return migrate(version, detail);
}

// From nothing, or from format 1, whose events told too little to be folded: they are dropped, as
// compaction would, but the newest of each volume stays and says where the history is.
Status SqliteStore::migrate(std::uint64_t version, std::string* detail) {
  const char* trim =
      version == 1 ? "DELETE FROM events WHERE revision <"
                     " (SELECT MAX(e.revision) FROM events e WHERE e.volume=events.volume);"
                     "DELETE FROM events WHERE volume NOT IN (SELECT id FROM volumes)"
                   : "SELECT 1";
  const std::string stamp = "PRAGMA application_id=" + std::to_string(application_id) +
                            ";PRAGMA user_version=" + std::to_string(format_version);
  if (!run("BEGIN IMMEDIATE") || !run(schema) || !run(trim) || !run(stamp.c_str()) ||
      !run("COMMIT")) {
    *detail = "it cannot be set up: " + last_error();
    return make_error(Errc::io_error, "the store cannot be used");
  }
  return Status();
}

SqliteStore::~SqliteStore() {
  if (db_ != nullptr) sqlite3_close(db_);
  if (lock_ >= 0) ::close(lock_);
}

std::string SqliteStore::last_error() const {
  return db_ == nullptr ? "no database" : sqlite3_errmsg(db_);
}

bool SqliteStore::run(const char* sql) {
  return sqlite3_exec(db_, sql, nullptr, nullptr, nullptr) == SQLITE_OK;
}

Result<std::vector<VolumeRecord>> SqliteStore::volumes() {
  Statement query(db_, "SELECT record FROM volumes ORDER BY id");
  std::vector<VolumeRecord> all;
  int code = query.step();
  for (; code == SQLITE_ROW; code = query.step()) {
    TRY_ASSIGN(VolumeRecord record, decode_volume(query.column(0)));
    all.push_back(std::move(record));
  }
  if (code != SQLITE_DONE) return failed_read().error();
  return all;
}

Result<std::optional<VolumeRecord>> SqliteStore::volume(VolumeId id) {
  Statement query(db_, "SELECT record FROM volumes WHERE id=?1");
  const int code = query.text(1, key_of(id)).step();
  if (code == SQLITE_DONE) return std::optional<VolumeRecord>();
  if (code != SQLITE_ROW) return failed_read().error();
  TRY_ASSIGN(VolumeRecord record, decode_volume(query.column(0)));
  return std::optional<VolumeRecord>(std::move(record));
}

Result<std::map<VolumeId, Version>> SqliteStore::versions() {
  Statement query(db_, "SELECT id, epoch, revision FROM volumes");
  std::map<VolumeId, Version> all;
  int code = query.step();
  for (; code == SQLITE_ROW; code = query.step()) {
    VolumeId id;
    const std::string key = query.column(0);
    if (!VolumeId::parse(key.data(), key.size(), id)) return failed_read().error();
    all.emplace(id, Version{Epoch(query.column_number(1)), Revision(query.column_number(2))});
  }
  if (code != SQLITE_DONE) return failed_read().error();
  return all;
}

StoreOutcome SqliteStore::compare_and_set(VolumeId id, const std::optional<Version>& expected,
                                          const std::optional<VolumeRecord>& next,
                                          const ChangeEvent& event) {
  CHECK(!next || next->id == id);
  const auto give_up = [this](StoreOutcome outcome) {
    MAYBE(run("ROLLBACK"));
    return outcome;
  };
  if (!run("BEGIN IMMEDIATE")) return StoreOutcome::unknown;
  const std::string key = key_of(id);
  {
    Statement query(db_, "SELECT epoch, revision FROM volumes WHERE id=?1");
    const int code = query.text(1, key).step();
    if (code != SQLITE_ROW && code != SQLITE_DONE) return give_up(StoreOutcome::unknown);
    const bool there = code == SQLITE_ROW;
    if (there != expected.has_value()) return give_up(StoreOutcome::conflict);
    if (there && (query.column_number(0) != expected->epoch.value() ||
                  query.column_number(1) != expected->revision.value())) {
      return give_up(StoreOutcome::conflict);
    }
  }
  if (!write_record(id, next) || !append_event(event)) return give_up(StoreOutcome::unknown);
  if (!next && !retire_history(id)) return give_up(StoreOutcome::unknown);
  if (!run("COMMIT")) return give_up(StoreOutcome::unknown);
  tell(event);
  return StoreOutcome::committed;
}

bool SqliteStore::write_record(VolumeId id, const std::optional<VolumeRecord>& next) {
  if (!next) {
    Statement drop(db_, "DELETE FROM volumes WHERE id=?1");
    return drop.text(1, key_of(id)).step() == SQLITE_DONE;
  }
  Statement put(db_,
                "INSERT OR REPLACE INTO volumes(id, name, epoch, revision, record)"
                " VALUES(?1, ?2, ?3, ?4, ?5)");
  const Version version = next->version();
  return put.text(1, key_of(id))
             .text(2, next->name)
             .number(3, version.epoch.value())
             .number(4, version.revision.value())
             .blob(5, encode(*next))
             .step() == SQLITE_DONE;
}

bool SqliteStore::append_event(const ChangeEvent& event) {
  Statement append(db_,
                   "INSERT OR REPLACE INTO events(volume, revision, epoch, type, fields)"
                   " VALUES(?1, ?2, ?3, ?4, ?5)");
  const std::string key = key_of(event.volume);
  const int code = append.text(1, key)
                       .number(2, event.revision.value())
                       .number(3, event.epoch.value())
                       .text(4, event.type)
                       .text(5, event.fields)
                       .step();
  if (code != SQLITE_DONE) return false;
  if (event.revision.value() <= events_kept()) return true;
  Statement compact(db_, "DELETE FROM events WHERE volume=?1 AND revision<=?2");
  const std::uint64_t edge = event.revision.value() - events_kept();
  return compact.text(1, key).number(2, edge).step() == SQLITE_DONE;
}

bool SqliteStore::retire_history(VolumeId id) {
  Statement note(db_, "INSERT OR REPLACE INTO gone(volume) VALUES(?1)");
  if (note.text(1, key_of(id)).step() != SQLITE_DONE) return false;
  Statement oldest(db_, "SELECT volume FROM gone ORDER BY sequence DESC LIMIT 1 OFFSET ?1");
  const int code = oldest.number(1, histories_kept).step();
  if (code == SQLITE_DONE) return true;
  if (code != SQLITE_ROW) return false;
  const std::string past = oldest.column(0);
  Statement forget(db_, "DELETE FROM events WHERE volume=?1");
  Statement strike(db_, "DELETE FROM gone WHERE volume=?1");
  return forget.text(1, past).step() == SQLITE_DONE && strike.text(1, past).step() == SQLITE_DONE;
}

Result<std::optional<History>> SqliteStore::history(VolumeId id) {
  Statement query(db_,
                  "SELECT epoch, revision, (SELECT MIN(revision) FROM events WHERE volume=?1)"
                  " FROM events WHERE volume=?1 ORDER BY revision DESC LIMIT 1");
  const int code = query.text(1, key_of(id)).step();
  if (code == SQLITE_DONE) return std::optional<History>();
  if (code != SQLITE_ROW) return failed_read().error();
  return std::optional<History>(
      History{Version{Epoch(query.column_number(0)), Revision(query.column_number(1))},
              Revision(query.column_number(2))});
}

Result<std::vector<ChangeEvent>> SqliteStore::events(VolumeId id, Revision after, std::size_t max) {
  Statement query(db_,
                  "SELECT revision, epoch, type, fields FROM events"
                  " WHERE volume=?1 AND revision>?2 ORDER BY revision LIMIT ?3");
  query.text(1, key_of(id)).number(2, after.value()).number(3, max);
  std::vector<ChangeEvent> all;
  int code = query.step();
  for (; code == SQLITE_ROW; code = query.step()) {
    all.push_back(ChangeEvent{id, Epoch(query.column_number(1)), Revision(query.column_number(0)),
                              query.column(2), query.column(3)});
  }
  if (code != SQLITE_DONE) return failed_read().error();
  return all;
}

Result<std::vector<NodeRecord>> SqliteStore::nodes() {
  Statement query(db_, "SELECT record FROM nodes");
  std::vector<NodeRecord> all;
  int code = query.step();
  for (; code == SQLITE_ROW; code = query.step()) {
    TRY_ASSIGN(NodeRecord record, decode_node(query.column(0)));
    all.push_back(std::move(record));
  }
  if (code != SQLITE_DONE) return failed_read().error();
  // Not the database's order: its integers have a sign, ids have none.
  std::sort(all.begin(), all.end(),
            [](const NodeRecord& a, const NodeRecord& b) { return a.id < b.id; });
  return all;
}

Status SqliteStore::remember(const NodeRecord& node) {
  Statement put(db_, "INSERT OR REPLACE INTO nodes(id, name, record) VALUES(?1, ?2, ?3)");
  const int code = put.number(1, node.id.value()).text(2, node.name).blob(3, encode(node)).step();
  if (code != SQLITE_DONE) return make_error(Errc::io_error, "the store cannot be written");
  return Status();
}

}  // namespace seawall::controller
