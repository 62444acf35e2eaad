#include "wal/testing/mem_disk.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "engine/base/check.h"

namespace seawall::wal {
namespace {

Error from_errno(int error, const char* what) {
  const Errc code = error == ENOSPC ? Errc::no_space : Errc::io_error;
  return make_error(code, what, static_cast<std::uint64_t>(error));
}

std::string directory_of(const std::string& name) {
  const auto slash = name.rfind('/');
  return slash == std::string::npos ? std::string() : name.substr(0, slash);
}

std::uint64_t iov_bytes(const Op& op) {
  std::uint64_t total = 0;
  for (std::uint32_t i = 0; i < op.iov_count; ++i) total += op.iov[i].iov_len;
  return total;
}

}  // namespace

MemDisk::Handle* MemDisk::handle(FileId file) {
  const auto found = handles_.find(file);
  return found == handles_.end() ? nullptr : &found->second;
}

// Counts a change; false when the disk has stopped (by this change, or before).
bool MemDisk::begin_change() {
  if (stopped()) return false;
  ++changes_;
  return !stopped();
}

MemDisk::Change::Change(MemDisk& disk) : disk_(disk) {
  if (disk_.stopped()) return;
  if (disk_.on_change_) disk_.on_change_(Moment::begins, nullptr);
  made_ = disk_.begin_change();
  cut_off_ = !made_;
}

MemDisk::Change::~Change() {
  if (made_ && disk_.on_change_) disk_.on_change_(Moment::changed, nullptr);
}

std::optional<MemDisk::Fault> MemDisk::fault_for(Op::Kind kind, const std::string& name,
                                                 std::uint64_t offset, std::uint64_t length) {
  for (std::size_t i = 0; i < faults_.size(); ++i) {
    Fault& fault = faults_[i];
    if (fault.kind != kind || name.compare(0, fault.file.size(), fault.file) != 0) continue;
    if (kind != Op::Kind::sync) {
      const bool before = offset + length <= fault.offset;
      const bool after = fault.length != ~0ull && offset >= fault.offset + fault.length;
      if (before || after) continue;
    }
    if (fault.skip > 0) {
      --fault.skip;
      continue;
    }
    const Fault found = fault;
    if (!fault.sticky) faults_.erase(faults_.begin() + static_cast<std::ptrdiff_t>(i));
    return found;
  }
  return std::nullopt;
}

void MemDisk::write_with(File& file, const std::optional<Fault>& fault, std::uint64_t offset,
                         std::span<const std::byte> bytes, bool durable) {
  if (fault && fault->effect == Effect::lose) return;
  if (fault && fault->effect == Effect::misdirect) {
    offset += static_cast<std::uint64_t>(fault->shift);
    if (offset > file.size || bytes.size() > file.size - offset) return;
  }
  put(file, offset, bytes, durable);
}

bool MemDisk::sync_with(File& file, const std::optional<Fault>& fault, std::uint64_t sequence) {
  if (fault && fault->effect == Effect::lie) return true;
  if (fault) {
    drop(file, sequence);
    return false;
  }
  harden(file, sequence);
  file.durable_size = file.size;
  return true;
}

void MemDisk::put(File& file, std::uint64_t offset, std::span<const std::byte> bytes,
                  bool durable) {
  ++sequence_;
  auto at = file.pages.lower_bound(offset / page_bytes);
  while (!bytes.empty()) {
    const std::uint64_t index = offset / page_bytes;
    const std::size_t inside = offset % page_bytes;
    const std::size_t length = std::min(bytes.size(), page_bytes - inside);
    at = file.pages.try_emplace(at, index);  // one search a write, not one a page
    PageState& state = (at++)->second;
    state.before = current(state);
    auto page = std::make_shared_for_overwrite<Page>();
    if (length < page_bytes) {
      if (state.before != nullptr) {
        *page = *state.before;
      } else {
        page->fill(std::byte{0});
      }
    }
    std::memcpy(page->data() + inside, bytes.data(), length);
    if (durable) {
      state.versions.clear();
      state.durable = std::move(page);
      file.dirty.erase(index);
    } else {
      file.dirty.insert(index);
      state.versions.push_back(Version{sequence_, false, std::move(page)});
    }
    offset += length;
    bytes = bytes.subspan(length);
  }
}

void MemDisk::get(const File& file, std::uint64_t offset, std::span<std::byte> into) {
  auto at = file.pages.lower_bound(offset / page_bytes);
  while (!into.empty()) {
    const std::size_t inside = offset % page_bytes;
    const std::size_t length = std::min(into.size(), page_bytes - inside);
    const bool there = at != file.pages.end() && at->first == offset / page_bytes;
    const Page* page = there ? current((at++)->second).get() : nullptr;
    if (page == nullptr) {
      std::memset(into.data(), 0, length);
    } else {
      std::memcpy(into.data(), page->data() + inside, length);
    }
    offset += length;
    into = into.subspan(length);
  }
}

void MemDisk::get_old(const File& file, std::uint64_t offset, std::span<std::byte> into) {
  for (; !into.empty(); offset += page_bytes, into = into.subspan(page_bytes)) {
    const auto found = file.pages.find(offset / page_bytes);
    if (found == file.pages.end() || found->second.before == nullptr) {
      std::memset(into.data(), 0, page_bytes);
    } else {
      std::memcpy(into.data(), found->second.before->data(), page_bytes);
    }
  }
}

void MemDisk::harden(File& file, std::uint64_t sequence) {
  for (auto dirty = file.dirty.begin(); dirty != file.dirty.end();) {
    PageState& state = file.pages[*dirty];
    std::size_t covered = 0;
    for (const Version& version : state.versions) {
      if (version.sequence > sequence) break;
      ++covered;
      if (!version.dropped) state.durable = version.bytes;
    }
    // A dropped version stays what readers see until something newer is written over it.
    const bool keep_last =
        covered > 0 && covered == state.versions.size() && state.versions.back().dropped;
    if (keep_last) --covered;
    state.versions.erase(state.versions.begin(),
                         state.versions.begin() + static_cast<std::ptrdiff_t>(covered));
    dirty = state.versions.empty() ? file.dirty.erase(dirty) : std::next(dirty);
  }
}

void MemDisk::drop(File& file, std::uint64_t sequence) {
  for (const std::uint64_t index : file.dirty) {
    for (Version& version : file.pages[index].versions) {
      if (version.sequence <= sequence) version.dropped = true;
    }
  }
}

// --- asynchronous ---

void MemDisk::submit(Op& op) {
  CHECK(op.done != nullptr);
  CHECK(handle(op.file) != nullptr);
  if (op.kind != Op::Kind::sync) {
    CHECK(op.offset % page_bytes == 0);
    for (std::uint32_t i = 0; i < op.iov_count; ++i) {
      CHECK(op.iov[i].iov_len % page_bytes == 0);
      CHECK(reinterpret_cast<std::uintptr_t>(op.iov[i].iov_base) % page_bytes == 0);
    }
  }
  if (halted_) return;
  pending_.push_back(Pending{&op, sequence_});
  if (on_submit_) on_submit_(op);
}

std::int64_t MemDisk::execute(const Pending& pending) {
  Op& op = *pending.op;
  Handle* open_file = handle(op.file);
  CHECK(open_file != nullptr);
  File& file = *open_file->file;
  ++counts_[static_cast<std::size_t>(op.kind)];
  const std::uint64_t length = op.kind == Op::Kind::sync ? 0 : iov_bytes(op);
  const std::optional<Fault> fault = fault_for(op.kind, open_file->name, op.offset, length);
  if (op.kind == Op::Kind::sync) {
    return sync_with(file, fault, pending.sequence) ? 0 : -fault->error;
  }
  if (fault && fault->effect == Effect::fail) return -fault->error;
  if (op.offset + length > file.size) return -EIO;
  std::uint64_t offset = op.offset;
  for (std::uint32_t i = 0; i < op.iov_count; ++i) {
    auto* base = static_cast<std::byte*>(op.iov[i].iov_base);
    if (op.kind == Op::Kind::write) {
      write_with(file, fault, offset, {base, op.iov[i].iov_len}, op.dsync);
    } else if (fault && fault->effect == Effect::stale) {
      get_old(file, offset, {base, op.iov[i].iov_len});
    } else {
      get(file, offset, {base, op.iov[i].iov_len});
    }
    offset += op.iov[i].iov_len;
  }
  return static_cast<std::int64_t>(length);
}

void MemDisk::complete(Op& op) {
  const auto found =
      std::find_if(pending_.begin(), pending_.end(), [&](const Pending& p) { return p.op == &op; });
  CHECK(found != pending_.end());
  if (stopped()) return;
  if (op.kind != Op::Kind::read && !begin_change()) return;
  const Pending pending = *found;
  pending_.erase(found);
  op.result = execute(pending);
  if (on_change_) on_change_(Moment::executed, &op);
  if (!halted_) op.done(op);
}

bool MemDisk::run_one() {
  if (pending_.empty() || stopped()) return false;
  complete(*pending_.front().op);
  return true;
}

bool MemDisk::run_any(Prng& prng) {
  if (pending_.empty() || stopped()) return false;
  complete_at(static_cast<std::size_t>(prng.below(pending_.size())));
  return true;
}

std::size_t MemDisk::run_all() {
  std::size_t ran = 0;
  while (run_one()) ++ran;
  return ran;
}

// --- blocking ---

Result<FileId> MemDisk::open(const std::string& name) {
  if (stopped()) return Errc::cancelled;
  const auto found = files_.find(name);
  if (found == files_.end()) return make_error(Errc::not_found, "no such file");
  for (const auto& [id, open_file] : handles_) {
    if (open_file.name == name) return make_error(Errc::busy, "the file is open already");
  }
  handles_[next_id_] = Handle{name, found->second};
  return next_id_++;
}

Result<FileId> MemDisk::create(const std::string& name, std::uint64_t size) {
  const Change change(*this);
  if (!change) return Errc::cancelled;
  if (files_.contains(name)) return make_error(Errc::already_exists, "the file exists");
  auto file = std::make_shared<File>();
  file->size = size;
  files_[name] = file;
  handles_[next_id_] = Handle{name, file};
  return next_id_++;
}

void MemDisk::close(FileId file) {
  if (halted_) return;  // a dead process closes nothing
  for (const Pending& pending : pending_) CHECK(pending.op->file != file);
  handles_.erase(file);
}

Result<std::uint64_t> MemDisk::size(FileId file) {
  Handle* open_file = handle(file);
  CHECK(open_file != nullptr);
  return open_file->file->size;
}

Status MemDisk::resize(FileId file, std::uint64_t size) {
  const Change change(*this);
  if (!change) return Errc::cancelled;
  Handle* open_file = handle(file);
  CHECK(open_file != nullptr);
  CHECK(size >= open_file->file->size);
  open_file->file->size = size;
  return ok();
}

Status MemDisk::read(FileId file, std::uint64_t offset, std::span<std::byte> into) {
  if (stopped()) return Errc::cancelled;
  Handle* open_file = handle(file);
  CHECK(open_file != nullptr);
  CHECK(offset % page_bytes == 0);
  CHECK(into.size() % page_bytes == 0);
  ++counts_[static_cast<std::size_t>(Op::Kind::read)];
  const auto fault = fault_for(Op::Kind::read, open_file->name, offset, into.size());
  if (fault && fault->effect == Effect::fail) return from_errno(fault->error, "read failed");
  if (offset + into.size() > open_file->file->size) {
    return make_error(Errc::io_error, "read beyond the end of the file", offset);
  }
  if (fault && fault->effect == Effect::stale) {
    get_old(*open_file->file, offset, into);
  } else {
    get(*open_file->file, offset, into);
  }
  return ok();
}

Status MemDisk::write(FileId file, std::uint64_t offset, std::span<const std::byte> from) {
  Handle* open_file = handle(file);
  CHECK(open_file != nullptr);
  CHECK(offset % page_bytes == 0);
  CHECK(from.size() % page_bytes == 0);
  const Change change(*this);
  if (change.cut_off()) {
    cut_off_.push_back(
        InFlight{open_file->name, open_file->file, offset, {from.begin(), from.end()}});
  }
  if (!change) return Errc::cancelled;
  ++counts_[static_cast<std::size_t>(Op::Kind::write)];
  const auto fault = fault_for(Op::Kind::write, open_file->name, offset, from.size());
  if (fault && fault->effect == Effect::fail) return from_errno(fault->error, "write failed");
  if (offset + from.size() > open_file->file->size) {
    return make_error(Errc::io_error, "write beyond the end of the file", offset);
  }
  write_with(*open_file->file, fault, offset, from, false);
  return ok();
}

Status MemDisk::sync(FileId file) {
  const Change change(*this);
  if (!change) return Errc::cancelled;
  Handle* open_file = handle(file);
  CHECK(open_file != nullptr);
  ++counts_[static_cast<std::size_t>(Op::Kind::sync)];
  const auto fault = fault_for(Op::Kind::sync, open_file->name, 0, 0);
  if (sync_with(*open_file->file, fault, sequence_)) return ok();
  return from_errno(fault->error, "sync failed");
}

Result<std::vector<FileInfo>> MemDisk::list(const std::string& directory) {
  if (stopped()) return Errc::cancelled;
  if (!directory.empty() && !directories_.contains(directory)) {
    return make_error(Errc::not_found, "no such directory");
  }
  std::vector<FileInfo> out;
  for (const auto& [name, file] : files_) {
    if (directory_of(name) != directory) continue;
    const std::size_t skip = directory.empty() ? 0 : directory.size() + 1;
    out.push_back(FileInfo{name.substr(skip), file->size});
  }
  return out;
}

Status MemDisk::make_directory(const std::string& name) {
  const Change change(*this);
  if (!change) return Errc::cancelled;
  directories_.insert(name);
  return ok();
}

Status MemDisk::remove(const std::string& name) {
  const Change change(*this);
  if (!change) return Errc::cancelled;
  if (files_.erase(name) == 0) return make_error(Errc::not_found, "no such file");
  return ok();
}

Status MemDisk::sync_directory(const std::string& name) {
  const Change change(*this);
  if (!change) return Errc::cancelled;
  std::erase_if(durable_entries_,
                [&](const auto& entry) { return directory_of(entry.first) == name; });
  for (const auto& [entry, file] : files_) {
    if (directory_of(entry) == name) durable_entries_[entry] = file;
  }
  return ok();
}

// --- crashes ---

void MemDisk::decide(File& file, const std::string& name, std::uint64_t offset,
                     std::span<const std::byte> bytes, const FateChooser& choose, Prng& prng) {
  const Fate fate = choose(name, offset);
  if (fate == Fate::lost || offset + bytes.size() > file.size) return;
  if (fate == Fate::kept) {
    put(file, offset, bytes, false);
    return;
  }
  for (std::size_t at = 0; at < bytes.size(); at += sector_bytes) {
    const std::uint64_t draw = prng.below(8);
    if (draw < 4) continue;                                    // this sector did not land
    const std::size_t length = draw == 4 ? 8 * prng.below(64)  // or only its beginning did
                                         : sector_bytes;
    put(file, offset + at, bytes.subspan(at, length), false);
  }
}

void MemDisk::settle_in_flight(const FateChooser& choose, Prng& prng) {
  for (const Pending& pending : pending_) {
    const Op& op = *pending.op;
    if (op.kind != Op::Kind::write) continue;
    Handle* open_file = handle(op.file);
    CHECK(open_file != nullptr);
    std::vector<std::byte> bytes;
    for (std::uint32_t i = 0; i < op.iov_count; ++i) {
      const auto* base = static_cast<const std::byte*>(op.iov[i].iov_base);
      bytes.insert(bytes.end(), base, base + op.iov[i].iov_len);
    }
    decide(*open_file->file, open_file->name, op.offset, bytes, choose, prng);
  }
  for (const InFlight& cut : cut_off_) {
    decide(*cut.file, cut.name, cut.offset, cut.bytes, choose, prng);
  }
  pending_.clear();
  cut_off_.clear();
}

void MemDisk::forget_handles() {
  handles_.clear();
  stop_at_.reset();
  halted_ = false;
  faults_.clear();
}

void MemDisk::crash_process(const FateChooser& choose, Prng& prng) {
  settle_in_flight(choose, prng);
  forget_handles();
}

void MemDisk::crash_process(Prng& prng) {
  crash_process([&](const std::string&, std::uint64_t) { return static_cast<Fate>(prng.below(3)); },
                prng);
}

void MemDisk::settle_directory(Prng& prng) {
  std::map<std::string, std::shared_ptr<File>> after = durable_entries_;
  for (const auto& [name, file] : files_) {
    if (!durable_entries_.contains(name) && prng.coin()) after[name] = file;
  }
  for (const auto& [name, file] : durable_entries_) {
    if (!files_.contains(name) && prng.coin()) after.erase(name);
  }
  files_ = after;
  durable_entries_ = std::move(after);
}

void MemDisk::power_loss(Prng& prng) {
  crash_process(prng);
  settle_directory(prng);
  for (auto& [name, file] : files_) {
    if (file->durable_size != file->size) {
      file->size = prng.coin() ? file->size : file->durable_size;
      file->durable_size = file->size;
    }
    for (const std::uint64_t index : file->dirty) {
      PageState& state = file->pages[index];
      auto page = std::make_shared<Page>();
      for (std::size_t sector = 0; sector < page_bytes; sector += sector_bytes) {
        const auto take = [&](std::size_t choice, std::size_t from, std::size_t length) {
          const PageRef& source = choice == 0 ? state.durable : state.versions[choice - 1].bytes;
          if (source == nullptr) {
            std::memset(page->data() + from, 0, length);
          } else {
            std::memcpy(page->data() + from, source->data() + from, length);
          }
        };
        const std::size_t choice = prng.below(state.versions.size() + 1);
        take(choice, sector, sector_bytes);
        if (prng.below(16) == 0) {  // torn inside: the beginning of another version
          const std::size_t length = 8 * prng.below(64);  // one by one: no order of arguments
          take(prng.below(state.versions.size() + 1), sector, length);
        } else if (prng.below(64) == 0) {  // not even that: garbage
          for (std::size_t i = 0; i < sector_bytes; ++i) {
            (*page)[sector + i] = static_cast<std::byte>(prng.next());
          }
        }
      }
      state.durable = std::move(page);
      state.versions.clear();
    }
    file->dirty.clear();
  }
}

void MemDisk::power_loss_all_lost() {
  pending_.clear();
  cut_off_.clear();
  forget_handles();
  files_ = durable_entries_;
  for (auto& [name, file] : files_) {
    file->size = file->durable_size;
    for (const std::uint64_t index : file->dirty) file->pages[index].versions.clear();
    file->dirty.clear();
  }
}

// --- looking and damaging ---

std::uint64_t MemDisk::file_size(const std::string& name) const {
  const auto found = files_.find(name);
  CHECK(found != files_.end());
  return found->second->size;
}

std::vector<std::byte> MemDisk::peek(const std::string& name, std::uint64_t offset,
                                     std::size_t length) const {
  const auto found = files_.find(name);
  CHECK(found != files_.end());
  std::vector<std::byte> out(length);
  get(*found->second, offset, out);
  return out;
}

void MemDisk::poke(const std::string& name, std::uint64_t offset,
                   std::span<const std::byte> bytes) {
  const auto found = files_.find(name);
  CHECK(found != files_.end());
  put(*found->second, offset, bytes, true);
}

void MemDisk::flip_bit(const std::string& name, std::uint64_t offset, unsigned bit) {
  std::vector<std::byte> byte = peek(name, offset, 1);
  byte[0] ^= static_cast<std::byte>(1u << (bit % 8));
  poke(name, offset, byte);
}

std::vector<std::string> MemDisk::names() const {
  std::vector<std::string> all;
  for (const auto& [name, file] : files_) all.push_back(name);
  return all;
}

std::uint64_t MemDisk::bytes_below(const std::string& prefix) const {
  std::uint64_t bytes = 0;
  for (const auto& [name, file] : files_) {
    if (name.starts_with(prefix)) bytes += file->size;
  }
  return bytes;
}

std::uint64_t MemDisk::used_bytes() const {
  std::uint64_t pages = 0;
  for (const auto& [name, file] : files_) pages += file->pages.size();
  return pages * page_bytes;
}

std::vector<std::uint64_t> MemDisk::used_pages(const std::string& name) const {
  std::vector<std::uint64_t> used;
  const auto found = files_.find(name);
  if (found == files_.end()) return used;
  for (const auto& [index, state] : found->second->pages) used.push_back(index);
  return used;
}

std::uint64_t MemDisk::content_hash() const {
  std::uint64_t hash = 0xcbf29ce484222325ull;
  const auto mix = [&](std::uint64_t word) {
    hash ^= word;
    hash *= 0x100000001b3ull;
    hash ^= hash >> 29;
  };
  for (const auto& [name, file] : files_) {
    for (const char c : name) mix(static_cast<unsigned char>(c));
    mix(file->size);
    for (const auto& [index, state] : file->pages) {
      const Page* page = current(state).get();
      if (page == nullptr) continue;
      std::uint64_t inner = 0;
      for (std::size_t i = 0; i < page_bytes; i += 8) {
        std::uint64_t word = 0;
        std::memcpy(&word, page->data() + i, 8);
        inner = inner * 0x9e3779b97f4a7c15ull + word;
      }
      if (inner == 0) continue;  // a page of zeroes equals an absent one
      mix(index);
      mix(inner);
    }
  }
  return hash;
}

}  // namespace seawall::wal
