// Creation and opening. Nothing changes on disk before the whole log is decided; then floor and
// versions, the cut, and last the one super write that stores the new boot id.
#include <algorithm>
#include <cstring>

#include "engine/base/check.h"
#include "engine/base/mutant.h"
#include "wal/store_impl.h"

namespace seawall::wal {
namespace {

std::string segment_name(std::size_t slot) {
  return std::string(log_directory) + "/" + std::to_string(slot);
}

// What an interrupted creation left behind; a formatted replica is never touched.
Status remove_leftovers(Disk& disk) {
  TRY_ASSIGN(const std::vector<FileInfo> top, disk.list(""));
  for (const FileInfo& file : top) {
    if (file.name != super_name) continue;
    TRY_ASSIGN(const FileId id, disk.open(super_name));
    TRY_ASSIGN(const std::uint64_t size, disk.size(id));
    const auto loaded =
        size >= 2 * super_slot_bytes ? load_super(disk, id) : Result<LoadedSuper>(Errc::corrupt);
    disk.close(id);
    if (loaded || loaded.error().code == Errc::unknown_version) {
      return make_error(Errc::already_exists, "the directory holds a replica already");
    }
  }
  for (const FileInfo& file : top) {
    if (file.name == super_name || file.name == base_name || file.name == map_name) {
      TRY(disk.remove(file.name));
    }
  }
  auto segments = disk.list(log_directory);
  if (!segments) return ok();
  for (const FileInfo& file : *segments) {
    TRY(disk.remove(std::string(log_directory) + "/" + file.name));
  }
  return ok();
}

Status create_file(Disk& disk, const std::string& name, std::uint64_t bytes, bool sparse) {
  TRY_ASSIGN(const FileId file, disk.create(name, sparse ? 0 : bytes));
  Status done = sparse ? disk.resize(file, bytes) : ok();
  if (done) done = disk.sync(file);
  disk.close(file);
  return done;
}

DiskSuper first_super(const CreateOptions& options, const Layout& layout) {
  DiskSuper super{};
  super.flags = super_flag_formatted | super_flag_clean | super_flag_intact;
  super.incarnation_hi = options.incarnation.hi;
  super.incarnation_lo = options.incarnation.lo;
  super.replica = options.replica.value();
  super.log_start_lsn = 1;
  super.log_start_chain = chain_of_empty_log;
  super.log_start_number = 1;
  super.log_start_version = 1;
  super.log_version = 1;
  super.applied_chain = chain_of_empty_log;
  super.map_floor = 1;
  super.size_blocks = layout.size_blocks;
  super.log_bytes = layout.log_bytes;
  super.segment_bytes = layout.segment_bytes;
  super.segment_count = layout.segment_count;
  super.extent_bytes = layout.extent_bytes;
  super.spare_extents = layout.spare_extents;
  return super;
}

}  // namespace

Status Store::create_blocking(Disk& disk, const CreateOptions& options) {
  TRY_ASSIGN(const Layout layout, make_layout(options.geometry));
  TRY(remove_leftovers(disk));
  TRY(disk.make_directory(log_directory));
  for (std::size_t slot = 0; slot < layout.segment_count; ++slot) {
    TRY(create_file(disk, segment_name(slot), layout.segment_bytes, false));
  }
  TRY(create_file(disk, map_name, layout.map_bytes(), true));
  TRY(create_file(disk, base_name, layout.base_bytes(), true));
  TRY(disk.sync_directory(log_directory));
  // The super block comes last: without it there is no replica.
  TRY_ASSIGN(const FileId file, disk.create(super_name, 2 * super_slot_bytes));
  DiskSuper super = first_super(options, layout);
  const Status stored = store_super(disk, file, super, 0);
  disk.close(file);
  TRY(stored);
  return disk.sync_directory("");
}

Result<std::unique_ptr<Store>> Store::open_blocking(Disk& disk, const OpenOptions& options,
                                                    Sink& sink) {
  TRY_ASSIGN(const FileId file, disk.open(super_name));
  Result<LoadedSuper> loaded = load_super(disk, file);
  if (!loaded) {
    disk.close(file);
    return loaded.error();
  }
  const DiskSuper& super = loaded->super;
  const bool ours = super.incarnation_hi == options.incarnation.hi &&
                    super.incarnation_lo == options.incarnation.lo;
  if (!ours || super.replica != options.replica.value()) {
    disk.close(file);
    return make_error(Errc::wrong_incarnation, "the directory belongs to another volume or replica",
                      super.replica);
  }
  auto store = std::make_unique<StoreImpl>(disk, options, sink, layout_of(super));
  TRY(store->open(file, *loaded));
  return std::unique_ptr<Store>(std::move(store));
}

// --- loading ---

class StoreImpl::Loader final : public LogVisitor {
 public:
  explicit Loader(StoreImpl& store) : store_(store), applied_(store.super_.applied_lsn) {}

  void on_start() override {
    store_.log_.clear();
    store_.index_.clear();
    store_.requests_ = MUTANT(M83) ? RequestTables{} : requests_of(store_.super_);
    store_.named_.clear();
    store_.named_twice_ = false;
    store_.facts_.terms = terms_of(store_.super_);
    store_.facts_.last_term = Term(store_.super_.applied_term);
    foreign_base = false;
  }

  void on_segment(std::uint32_t slot, const SegmentHeader& header) override {
    store_.log_.retain(slot, header);
  }

  void on_batch(std::uint32_t slot, std::uint32_t block, const BatchView& batch) override {
    BatchPlace place;
    place.first_lsn = batch.first_lsn();
    place.place = store_.log_.place(slot, block);
    place.count = static_cast<std::uint16_t>(batch.head().count);
    place.payload_blocks = static_cast<std::uint16_t>(batch.head().payload_blocks);
    place.header_blocks = batch.head().header_blocks;
    store_.log_.push_batch(place);
    BatchView::Record record;
    std::uint64_t before = batch.head().chain_before;
    for (auto cursor = batch.begin(); batch.next(cursor, record); before = record.header.chain) {
      store_.name_extents(record);
      const std::uint32_t at = store_.note_crcs(record, place.place);
      if (record.header.lsn == applied_ && record.header.chain != store_.super_.applied_chain) {
        foreign_base = true;
      }
      if (record.header.lsn <= applied_) continue;  // folded, its request as well
      store_.requests_.fold(record.header);
      if (MUTANT(M60) && record.header.lsn == applied_.next()) continue;
      // A foreign base may have been folded under a greater term.
      if (!foreign_base || record.header.term > store_.facts_.last_term) {
        store_.note_term(record.header, before);
      }
      store_.add_to_index(record.header, at);
    }
  }

  bool foreign_base = false;  // log and base do not share a history

 private:
  StoreImpl& store_;
  Lsn applied_;
};

Status StoreImpl::open_files() {
  for (std::uint32_t slot = 0; slot < layout_.segment_count; ++slot) {
    TRY_ASSIGN(log_.slot(slot).file, disk_.open(segment_name(slot)));
    TRY_ASSIGN(const std::uint64_t size, disk_.size(log_.slot(slot).file));
    if (size < layout_.segment_bytes) {
      return make_error(Errc::corrupt, "a log segment is shorter than it was made", size);
    }
  }
  TRY_ASSIGN(base_file_, disk_.open(base_name));
  TRY_ASSIGN(map_file_, disk_.open(map_name));
  map_.attach(map_file_);
  super_writer_.attach(super_file_);
  return ok();
}

// Walks the log and fills tables, index and watermarks from it. Writes nothing.
Status StoreImpl::load_log(bool power_loss) {
  allocator_.forget();
  sweeping_ = false;
  std::vector<FileId> files;
  for (const LogSlot& slot : log_.slots()) files.push_back(slot.file);
  Loader loader(*this);
  const RecoveryInput input{disk_,  files,     layout_, options_.incarnation, super_,
                            power_loss, base_file_};
  TRY_ASSIGN(recovered_, recover_log(input, loader));
  for (std::uint32_t slot = 0; slot < layout_.segment_count; ++slot) {
    if (!log_.slot(slot).retained) log_.add_free(slot);
  }
  if (named_twice_) {
    return make_error(Errc::corrupt, "two records of the log name the same extent");
  }
  if (recovered_.starts_behind) {  // durable with the next change; until then it is found again
    super_next_.log_start_lsn = recovered_.starts_behind->lsn.value();
    super_next_.log_start_chain = recovered_.starts_behind->chain;
    super_next_.log_start_number = recovered_.starts_behind->segment.number;
    super_next_.log_start_version = recovered_.starts_behind->segment.version;
  }
  broken_ = recovered_.broken;
  unknown_ = recovered_.unknown;
  note_first_unknown();
  facts_.damage = recovered_.damage;
  if (loader.foreign_base || recovered_.base_ahead ||
      has_flag(super_, super_flag_base_untrusted)) {
    facts_.damage = Damage::base_untrusted;
    set_flag(super_next_, super_flag_base_untrusted, true);
  }
  facts_.last_term = recovered_.term;
  facts_.chain = recovered_.chain;
  facts_.marks.written = recovered_.end;
  appended_ = recovered_.end;
  appended_chain_ = recovered_.chain;
  appended_term_ = recovered_.term;
  flush_wanted_ = recovered_.end;
  tail_ = recovered_.tail;
  tail_block_ = recovered_.tail_block;
  last_number_ = tail_ ? log_.slot(*tail_).header.id.number : super_.log_start_number - 1;
  oldest_unfolded_.reset();
  if (recovered_.end > Lsn(super_.applied_lsn)) oldest_unfolded_ = now_;
  return ok();
}

// A block of versions for this opening: those of an earlier one are never used again, not even
// where a crash lost the header that named them.
void StoreImpl::reserve_versions() {
  const std::uint64_t seen = std::max(super_.log_version, recovered_.last_version + 1);
  next_version_ = ((seen - 1) | 0xffffffffull) + 1;
  super_next_.log_version = next_version_ + 0x100000000ull;
}

Status StoreImpl::open(FileId super_file, const LoadedSuper& loaded) {
  super_file_ = super_file;
  super_ = loaded.super;
  super_next_ = super_;
  found_.start = options_.process_start;
  found_.before = ProcessStart(super_.opened_by);
  found_.found = super_.generation;
  super_next_.opened_by = options_.process_start.value();
  facts_.incarnation = options_.incarnation;
  facts_.replica = options_.replica;
  facts_.process_start = options_.process_start;
  const bool same_boot = super_.boot_hi == options_.boot.hi && super_.boot_lo == options_.boot.lo;
  const bool power_loss = !same_boot && !has_flag(super_, super_flag_clean);
  TRY(open_files());
  TRY(load_log(power_loss));
  return settle(loaded, power_loss);
}

// The log is decided: makes the decision durable, in the order that a crash cannot spoil.
Status StoreImpl::settle(const LoadedSuper& loaded, bool power_loss) {
  LoadedSuper equal = loaded;
  const bool clean = has_flag(super_, super_flag_clean);
  TRY(equalize_super(disk_, super_file_, equal, clean));
  super_.generation = equal.super.generation;
  reserve_versions();
  const bool cut = !broken_ && (recovered_.copy_tail || !recovered_.clear.empty());
  if (recovered_.floor) {
    const Floor old{Term(super_.floor_term), Lsn(super_.floor_lsn)};
    if (!has_flag(super_, super_flag_floor) || old < *recovered_.floor) {
      set_flag(super_next_, super_flag_floor, true);
      super_next_.floor_term = recovered_.floor->term.value();
      super_next_.floor_lsn = recovered_.floor->lsn.value();
    }
  }
  if (!clean && !broken_ && !MUTANT(M95)) TRY(rewrite_unproven(power_loss));
  TRY(restore_headers());
  TRY(sync_log());
  if (!broken_ && !recovered_.restart) {  // all of it is durable now, what is unknown included
    super_next_.durable_lsn = recovered_.end.value();
    super_next_.durable_term = recovered_.term.value();
  }
  if (cut || recovered_.floor || recovered_.restart) TRY(store_super_now());
  if (recovered_.restart && !broken_) {
    forget_log(recovered_.end, recovered_.term, recovered_.chain, terms_of(super_));
    TRY(store_super_now());
    TRY(load_log(power_loss));
  } else if (cut) {
    const Lsn end = facts_.marks.written;
    TRY(cut_log(end));
    TRY(load_log(power_loss));
    CHECK(facts_.marks.written == end);
  }
  facts_.marks.durable = facts_.marks.written;
  // A store that knows of its loss has a floor; one that does not would say its end.
  if (!broken_ && !recovered_.floor) found_.end = facts_.marks.durable;
  found_.power_lost = power_loss;
  super_next_.boot_hi = options_.boot.hi;
  super_next_.boot_lo = options_.boot.lo;
  set_flag(super_next_, super_flag_clean, false);
  if (power_loss) set_flag(super_next_, super_flag_intact, false);
  if (!broken_) {
    super_next_.durable_lsn = facts_.marks.durable.value();
    super_next_.durable_term = facts_.last_term.value();
    super_next_.written_lsn = 0;
  }
  if (has_flag(super_, super_flag_intent)) {
    if (super_next_.aborted_count == super_aborted_max) TRY(sweep_aborted());
    const auto* end = super_next_.aborted + super_next_.aborted_count;
    if (std::find(std::as_const(super_next_).aborted, end, super_.intent_generation) == end) {
      super_next_.aborted[super_next_.aborted_count++] = super_.intent_generation;
    }
  }
  // A rebuild that a crash ended: entries and allocation bits may be of two moments.
  if (has_flag(super_next_, super_flag_marker)) {
    set_flag(super_next_, super_flag_base_untrusted, true);
    facts_.damage = Damage::base_untrusted;
  }
  TRY(store_super_now());
  extents_mapped_ = super_.extents_mapped;
  base_lane_open_ = has_flag(super_, super_flag_marker);
  base_doubtful_ = false;
  if (has_flag(super_, super_flag_bits_rotten)) TRY(sweep_bits());
  set_generations();
  return ok();
}

Opening StoreImpl::opening() const {
  Opening now = found_;
  now.generation = super_.generation;
  return now;
}

// What was read may still sit in the disk's cache: from here on it is durable.
Status StoreImpl::sync_log() {
  for (const LogSlot& slot : log_.slots()) TRY(disk_.sync(slot.file));
  return disk_.sync(base_file_);  // payload of large writes
}

Status StoreImpl::close_blocking(bool clean) {
  CHECK(idle());
  closed_ = !MUTANT(M96);
  if (failed_) return *failed_;
  quiescing_ = true;
  if (!clean) return ok();
  TRY(sync_log());
  facts_.marks.durable = facts_.marks.written;
  if (!broken_) {
    super_next_.durable_lsn = facts_.marks.durable.value();
    super_next_.durable_term = facts_.last_term.value();
    super_next_.written_lsn = facts_.marks.written.value();
  }
  super_next_.extents_mapped = extents_mapped_;
  set_flag(super_next_, super_flag_clean, true);
  return store_super_now();
}

}  // namespace seawall::wal
