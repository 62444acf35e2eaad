// MemDisk: a Disk in memory that loses, tears, rots and fails on request.
//
// Purpose: the simulator and the tests of wal/. It keeps the crash contract of disk.h and nothing
// more: what disk.h does not promise, a fault below may take away.
// Life cycle: outlives every Store on it; after crash_process() or power_loss() all handles are
// closed, in-flight operations are decided and forgotten (their `done` never runs), and the files
// can be opened again. Thread: one. Determinism: same calls and same PRNG, same bytes.
//
// Asynchronous operations wait until run_one(), run_all(), run_any() or complete() executes them; a
// write takes effect at that moment and `done` runs inside that call. With set_on_submit() a
// scheduler is told of each one and decides by itself when to call complete().
// A failed sync never hardens what it covered, and no later sync does (the page cache dropped it).
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "engine/base/prng.h"
#include "wal/disk.h"

namespace seawall::wal {

class MemDisk final : public Disk {
 public:
  static constexpr std::size_t page_bytes = 4096;
  static constexpr std::size_t sector_bytes = 512;

  MemDisk() = default;
  MemDisk(const MemDisk&) = delete;
  MemDisk& operator=(const MemDisk&) = delete;

  // --- Disk ---
  void submit(Op& op) override;
  Result<FileId> open(const std::string& name) override;
  Result<FileId> create(const std::string& name, std::uint64_t size) override;
  void close(FileId file) override;
  Result<std::uint64_t> size(FileId file) override;
  Status resize(FileId file, std::uint64_t size) override;
  Status read(FileId file, std::uint64_t offset, std::span<std::byte> into) override;
  Status write(FileId file, std::uint64_t offset, std::span<const std::byte> from) override;
  Status sync(FileId file) override;
  Result<std::vector<FileInfo>> list(const std::string& directory) override;
  Status make_directory(const std::string& name) override;
  Status remove(const std::string& name) override;
  Status sync_directory(const std::string& name) override;

  // Whoever enumerates crash points is told of every change, from inside the call: of a blocking
  // one before and after, of an asynchronous operation when it has reached the disk and nobody
  // knows yet.
  enum class Moment : std::uint8_t { begins, changed, executed };
  void set_on_change(std::function<void(Moment, const Op*)> hook) { on_change_ = std::move(hook); }

  // --- running asynchronous operations ---
  using SubmitHook = std::function<void(Op&)>;
  void set_on_submit(SubmitHook hook) { on_submit_ = std::move(hook); }
  void complete(Op& op);     // executes one pending operation and runs its `done`
  bool run_one();            // the oldest; false: nothing was pending, or the disk has stopped
  bool run_any(Prng& prng);  // a drawn one
  std::size_t run_all();     // until nothing is pending; returns how many ran
  [[nodiscard]] std::size_t pending() const { return pending_.size(); }
  [[nodiscard]] const Op& pending_op(std::size_t index) const { return *pending_[index].op; }
  void complete_at(std::size_t index) { complete(*pending_[index].op); }

  // --- crashes ---
  enum class Fate : std::uint8_t { kept, lost, torn };
  using FateChooser = std::function<Fate(const std::string& file, std::uint64_t offset)>;
  // The process dies: completed writes stay; each in-flight write is kept, lost or torn.
  void crash_process(const FateChooser& choose, Prng& prng);
  void crash_process(Prng& prng);  // fates drawn
  // The machine dies: besides that, every sector not synced is old, new or torn, by the PRNG.
  void power_loss(Prng& prng);
  // Of what is not synced nothing survives (the harshest loyal disk).
  void power_loss_all_lost();

  // From the n-th change (write, sync, create, resize, remove, sync_directory) from now on, that
  // one included, everything fails with Errc::cancelled (blocking) or stays pending (asynchronous)
  // until the next crash. A write cut off so counts as in flight.
  void stop_after(std::uint64_t changes) { stop_at_ = changes_ + changes; }
  // The process is dead from here on, although its code still runs: what it asks for now reaches
  // nothing. A blocking write that halts the disk as it begins is in flight.
  void halt() {
    stop_at_ = changes_;
    halted_ = true;
  }
  [[nodiscard]] bool stopped() const { return stop_at_ && changes_ >= *stop_at_; }
  [[nodiscard]] std::uint64_t changes() const { return changes_; }

  // --- injected errors ---
  // What a fault does to the operation that it matches; all but `fail` answer as if all were well.
  enum class Effect : std::uint8_t {
    fail,       // the error
    lose,       // a write that reaches nothing
    misdirect,  // a write that lands `shift` bytes away
    stale,      // a read of what was there before the newest write
    lie,        // a sync that hardens nothing
  };
  struct Fault {
    Op::Kind kind = Op::Kind::write;
    Effect effect = Effect::fail;
    std::int64_t shift = 0;    // of a misdirected write
    int error = 5;             // errno
    std::uint64_t skip = 0;    // so many matching operations succeed first
    bool sticky = false;       // else once
    std::string file;          // prefix of the name; empty: any
    std::uint64_t offset = 0;  // only operations that touch [offset, offset + length)
    std::uint64_t length = ~0ull;
  };
  void inject(const Fault& fault) { faults_.push_back(fault); }
  void clear_faults() { faults_.clear(); }
  [[nodiscard]] bool has_faults() const { return !faults_.empty(); }
  [[nodiscard]] std::uint64_t count(Op::Kind kind) const {
    return counts_[static_cast<std::size_t>(kind)];
  }

  // --- looking and damaging; works on open files, too, and is durable at once ---
  [[nodiscard]] bool exists(const std::string& name) const { return files_.contains(name); }
  [[nodiscard]] std::uint64_t file_size(const std::string& name) const;
  [[nodiscard]] std::vector<std::byte> peek(const std::string& name, std::uint64_t offset,
                                            std::size_t length) const;
  void poke(const std::string& name, std::uint64_t offset, std::span<const std::byte> bytes);
  void flip_bit(const std::string& name, std::uint64_t offset, unsigned bit);
  [[nodiscard]] std::vector<std::string> names() const;
  // Sizes of all files whose names begin so; what all files' pages take, each page once.
  [[nodiscard]] std::uint64_t bytes_below(const std::string& prefix) const;
  [[nodiscard]] std::uint64_t used_bytes() const;
  // Numbers of the pages that were ever written.
  [[nodiscard]] std::vector<std::uint64_t> used_pages(const std::string& name) const;
  [[nodiscard]] std::uint64_t content_hash() const;  // names, sizes and bytes as readers see them
  // An independent disk with the same content; nothing open, pending or injected. Cheap.
  [[nodiscard]] std::unique_ptr<MemDisk> clone() const;

 private:
  friend class CrashStates;
  using Page = std::array<std::byte, page_bytes>;
  using PageRef = std::shared_ptr<const Page>;  // null: zeroes
  struct Version {
    std::uint64_t sequence = 0;
    bool dropped = false;  // covered by a sync that failed: no sync hardens it any more
    PageRef bytes;
  };
  struct PageState {
    PageRef durable;
    std::vector<Version> versions;  // completed and not hardened, oldest first
    PageRef before;                 // the newest write, for a stale read
  };
  struct File {
    std::uint64_t size = 0;
    std::uint64_t durable_size = 0;
    std::map<std::uint64_t, PageState> pages;
    std::set<std::uint64_t> dirty;  // pages with versions
  };
  struct Handle {
    std::string name;
    std::shared_ptr<File> file;
  };
  struct Pending {
    Op* op = nullptr;
    std::uint64_t sequence = 0;  // writes completed when it was submitted
  };
  struct InFlight {  // a blocking write that was cut off
    std::string name;
    std::shared_ptr<File> file;
    std::uint64_t offset = 0;
    std::vector<std::byte> bytes;
  };

  // A blocking change: true when it may be made; tells of its end.
  class Change {
   public:
    explicit Change(MemDisk& disk);
    ~Change();
    Change(const Change&) = delete;
    Change& operator=(const Change&) = delete;
    explicit operator bool() const { return made_; }
    [[nodiscard]] bool cut_off() const { return cut_off_; }  // the disk stopped at this very one

   private:
    MemDisk& disk_;
    bool cut_off_ = false;
    bool made_ = false;
  };

  Handle* handle(FileId file);
  bool begin_change();
  std::optional<Fault> fault_for(Op::Kind kind, const std::string& name, std::uint64_t offset,
                                 std::uint64_t length);
  // The write that this fault leaves; the sync that it leaves. False: it failed.
  void write_with(File& file, const std::optional<Fault>& fault, std::uint64_t offset,
                  std::span<const std::byte> bytes, bool durable);
  static bool sync_with(File& file, const std::optional<Fault>& fault, std::uint64_t sequence);
  static void get_old(const File& file, std::uint64_t offset, std::span<std::byte> into);
  // What readers see; null: zeroes.
  static const PageRef& current(const PageState& state) {
    return state.versions.empty() ? state.durable : state.versions.back().bytes;
  }
  void put(File& file, std::uint64_t offset, std::span<const std::byte> bytes, bool durable);
  static void get(const File& file, std::uint64_t offset, std::span<std::byte> into);
  static void harden(File& file, std::uint64_t sequence);
  static void drop(File& file, std::uint64_t sequence);
  std::int64_t execute(const Pending& pending);
  void settle_in_flight(const FateChooser& choose, Prng& prng);
  void decide(File& file, const std::string& name, std::uint64_t offset,
              std::span<const std::byte> bytes, const FateChooser& choose, Prng& prng);
  void settle_directory(Prng& prng);
  void forget_handles();

  std::map<std::string, std::shared_ptr<File>> files_;
  std::map<std::string, std::shared_ptr<File>> durable_entries_;
  std::set<std::string> directories_;
  std::map<FileId, Handle> handles_;
  FileId next_id_ = 1;
  std::deque<Pending> pending_;
  std::vector<InFlight> cut_off_;
  std::vector<Fault> faults_;
  std::array<std::uint64_t, 3> counts_{};
  SubmitHook on_submit_;
  std::function<void(Moment, const Op*)> on_change_;
  bool halted_ = false;
  std::uint64_t sequence_ = 0;
  std::uint64_t changes_ = 0;
  std::optional<std::uint64_t> stop_at_;
};

}  // namespace seawall::wal
