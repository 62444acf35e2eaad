#include "wal/testing/crash_states.h"

#include <algorithm>
#include <cstring>

#include "engine/base/check.h"

namespace seawall::wal {
namespace {

constexpr std::array<std::byte, MemDisk::sector_bytes> zero_sector{};

}  // namespace

// Here, as it is what every state begins with.
std::unique_ptr<MemDisk> MemDisk::clone() const {
  auto copy = std::make_unique<MemDisk>();
  std::map<const File*, std::shared_ptr<File>> made;
  const auto copied = [&](const std::shared_ptr<File>& file) {
    std::shared_ptr<File>& place = made[file.get()];
    if (place == nullptr) place = std::make_shared<File>(*file);
    return place;
  };
  for (const auto& [name, file] : files_) copy->files_[name] = copied(file);
  for (const auto& [name, file] : durable_entries_) copy->durable_entries_[name] = copied(file);
  copy->directories_ = directories_;
  copy->sequence_ = sequence_;
  return copy;
}

CrashStates::CrashStates(const MemDisk& disk, Kind kind) : kind_(kind), disk_(disk.clone()) {
  collect_in_flight(disk);
  if (kind == Kind::process) {
    versions_.assign(in_flight_.size(), 2);
  } else {
    for (const InFlight& write : in_flight_) apply(*disk_, write);
    find_undecided();
  }
}

void CrashStates::collect_in_flight(const MemDisk& disk) {
  for (const MemDisk::Pending& pending : disk.pending_) {
    const Op& op = *pending.op;
    if (op.kind != Op::Kind::write) continue;
    InFlight write{disk.handles_.at(op.file).name, op.offset, {}};
    for (std::uint32_t i = 0; i < op.iov_count; ++i) {
      const auto* base = static_cast<const std::byte*>(op.iov[i].iov_base);
      write.bytes.insert(write.bytes.end(), base, base + op.iov[i].iov_len);
    }
    in_flight_.push_back(std::move(write));
  }
  for (const MemDisk::InFlight& cut : disk.cut_off_) {
    in_flight_.push_back({cut.name, cut.offset, cut.bytes});
  }
}

void CrashStates::apply(MemDisk& disk, const InFlight& write) {
  const auto found = disk.files_.find(write.file);
  if (found == disk.files_.end() || write.offset + write.bytes.size() > found->second->size) return;
  disk.put(*found->second, write.offset, write.bytes, false);
}

void CrashStates::find_undecided() {
  const MemDisk& disk = *disk_;
  for (const auto& [name, file] : disk.files_) {
    if (!disk.durable_entries_.contains(name)) names_.push_back(name);
    if (file->durable_size != file->size) sizes_.push_back(name);
    for (const std::uint64_t page : file->dirty) {
      const MemDisk::PageState& state = file->pages.at(page);
      for (std::size_t at = 0; at < MemDisk::page_bytes; at += MemDisk::sector_bytes) {
        const auto bytes = [at](const MemDisk::PageRef& ref) {
          return ref == nullptr ? zero_sector.data() : ref->data() + at;
        };
        Sector sector{name, page, at, {state.durable}};
        for (const MemDisk::Version& version : state.versions) {
          const auto same = [&](const MemDisk::PageRef& other) {
            return std::memcmp(bytes(other), bytes(version.bytes), MemDisk::sector_bytes) == 0;
          };
          const bool known = std::any_of(sector.from.begin(), sector.from.end(), same);
          if (!known) sector.from.push_back(version.bytes);
        }
        if (sector.from.size() > 1) sectors_.push_back(std::move(sector));
      }
    }
  }
  for (const auto& [name, file] : disk.durable_entries_) {
    if (!disk.files_.contains(name)) names_.push_back(name);
  }
  versions_.assign(names_.size() + sizes_.size(), 2);
  for (const Sector& sector : sectors_) versions_.push_back(sector.from.size());
}

std::uint64_t CrashStates::count(std::uint64_t most) const {
  std::uint64_t product = 1;
  for (const std::size_t versions : versions_) {
    product *= versions;
    if (product >= most) return most;
  }
  return product;
}

std::vector<std::size_t> CrashStates::combination(std::uint64_t number) const {
  std::vector<std::size_t> choice;
  for (const std::size_t versions : versions_) {
    choice.push_back(number % versions);
    number /= versions;
  }
  return choice;
}

std::unique_ptr<MemDisk> CrashStates::state(const std::vector<std::size_t>& choice) const {
  CHECK(choice.size() == versions_.size());
  auto after = disk_->clone();
  if (kind_ == Kind::process) {
    for (std::size_t i = 0; i < in_flight_.size(); ++i) {
      if (choice[i] == 1) apply(*after, in_flight_[i]);
    }
    return after;
  }
  // Entries last: what is in a file is decided by its name of before.
  std::size_t at = names_.size();
  for (const std::string& name : sizes_) {
    MemDisk::File& file = *after->files_.at(name);
    if (choice[at++] == 0) file.size = file.durable_size;
  }
  std::map<std::pair<std::string, std::uint64_t>, std::shared_ptr<MemDisk::Page>> pages;
  for (const Sector& sector : sectors_) {
    std::shared_ptr<MemDisk::Page>& page = pages[{sector.file, sector.page}];
    if (page == nullptr) {  // sectors without a choice are alike in all versions
      const MemDisk::PageState& state = after->files_.at(sector.file)->pages.at(sector.page);
      page = std::make_shared<MemDisk::Page>(*state.versions.back().bytes);
    }
    const MemDisk::PageRef& from = sector.from[choice[at++]];
    std::memcpy(page->data() + sector.at,
                from == nullptr ? zero_sector.data() : from->data() + sector.at,
                MemDisk::sector_bytes);
  }
  for (auto& [name, file] : after->files_) {
    for (const std::uint64_t page : file->dirty) {
      const auto decided = pages.find({name, page});
      MemDisk::PageState& state = file->pages[page];
      state.durable = decided == pages.end() ? state.versions.back().bytes
                                             : MemDisk::PageRef(decided->second);
      state.versions.clear();
    }
    file->dirty.clear();
    file->durable_size = file->size;
  }
  for (std::size_t i = 0; i < names_.size(); ++i) {
    const bool fresh = after->files_.contains(names_[i]);
    if (fresh && choice[i] == 0) after->files_.erase(names_[i]);
    if (!fresh && choice[i] == 0) after->files_[names_[i]] = after->durable_entries_.at(names_[i]);
  }
  after->durable_entries_ = after->files_;
  return after;
}

}  // namespace seawall::wal
