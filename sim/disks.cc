#include "sim/disks.h"

#include <utility>

#include "engine/base/check.h"

namespace seawall::sim {
namespace {

std::uint64_t bytes_of(const wal::Op& op) {
  std::uint64_t bytes = 0;
  for (std::uint32_t i = 0; i < op.iov_count; ++i) bytes += op.iov[i].iov_len;
  return bytes;
}

}  // namespace

ReplicaDisks::ReplicaDisks(Scheduler& scheduler, Trace& trace, std::uint32_t node,
                           const RunOptions& options, Prng prng)
    : scheduler_(scheduler), trace_(trace), node_(node), options_(options), prng_(prng) {}

Micros ReplicaDisks::draw_latency(const wal::Op& op) {
  switch (op.kind) {
    case wal::Op::Kind::read: return prng_.range(5, 5 + options_.disk_read_max);
    case wal::Op::Kind::sync: return extra_ + prng_.range(20, 20 + options_.disk_sync_max);
    case wal::Op::Kind::write: {
      const Micros written = prng_.range(5, 5 + options_.disk_write_max);
      const Micros synced = op.dsync ? prng_.below(options_.disk_sync_max + 1) : 0;
      return extra_ + written + synced;
    }
  }
  return 0;
}

void ReplicaDisks::submitted(wal::MemDisk& disk, wal::Op& op) {
  const std::uint64_t number = ++ops_;
  trace_.add(TraceRecord{scheduler_.now(), What::disk_submit, node_, number,
                         static_cast<std::uint64_t>(op.kind), op.offset, bytes_of(op)});
  const Held operation{&disk, &op, number};
  if (hung_) {
    held_.push_back(operation);
  } else {
    run_later(operation);
  }
}

void ReplicaDisks::changed(wal::MemDisk::Moment moment, const wal::Op* op) {
  const std::uint64_t kind = op == nullptr ? 0 : static_cast<std::uint64_t>(op->kind);
  const What what = moment == wal::MemDisk::Moment::executed ? What::disk_executed
                    : moment == wal::MemDisk::Moment::begins ? What::change_begins
                                                             : What::change_done;
  trace_.boundary(TraceRecord{scheduler_.now(), what, node_, kind});
}

void ReplicaDisks::halt() {
  halted_ = true;
  for (auto& [replica, entry] : entries_) {
    if (entry.disk != nullptr) entry.disk->halt();
  }
}

void ReplicaDisks::run_later(const Held& operation) {
  scheduler_.after(draw_latency(*operation.op), owner_, [this, operation] {
    if (hung_) {
      held_.push_back(operation);
      return;
    }
    trace_.add(TraceRecord{scheduler_.now(), What::disk_done, node_, operation.number,
                           static_cast<std::uint64_t>(operation.op->kind)});
    operation.disk->complete(*operation.op);
  });
}

void ReplicaDisks::set_hung(bool hung) {
  if (hung_ == hung) return;
  hung_ = hung;
  trace_.add(TraceRecord{scheduler_.now(), What::disk_hung, node_, hung ? 1u : 0u});
  if (hung) return;
  for (const Held& operation : std::exchange(held_, {})) run_later(operation);
}

void ReplicaDisks::crash(bool power_lost) {
  held_.clear();
  std::uint64_t in_flight = 0;
  for (auto& [replica, entry] : entries_) {
    in_flight += entry.disk->pending();
    if (!power_lost && loses_in_flight_) {
      const auto lost = [](const std::string&, std::uint64_t) { return wal::MemDisk::Fate::lost; };
      entry.disk->crash_process(lost, prng_);
    } else if (!power_lost) {
      entry.disk->crash_process(prng_);
    } else if (prng_.chance(one_in(4))) {
      entry.disk->power_loss_all_lost();
    } else {
      entry.disk->power_loss(prng_);
    }
  }
  loses_in_flight_ = halted_ = false;
  trace_.add(
      TraceRecord{scheduler_.now(), What::disk_crash, node_, in_flight, power_lost ? 1u : 0u});
}

void ReplicaDisks::stop_after(std::uint64_t changes) {
  for (auto& [replica, entry] : entries_) entry.disk->stop_after(changes);
}

void ReplicaDisks::plug_disk(wal::MemDisk& disk) {
  disk.set_on_submit([this, &disk](wal::Op& op) { submitted(disk, op); });
}

void ReplicaDisks::swap_with(ReplicaDisks& other, bool back) {
  if (!back) entries_.swap(other.entries_);
  // What was made meanwhile was made where it belongs.
  if (back) {
    std::map<ReplicaId, Entry> mine;
    std::map<ReplicaId, Entry> theirs;
    for (ReplicaDisks* pool : {this, &other}) {
      for (auto& [replica, entry] : pool->entries_) {
        const bool stays = entry.home == pool->node_ || entry.home == 0;
        const bool ends_here = stays == (pool == this);
        (ends_here ? mine : theirs).emplace(replica, std::move(entry));
      }
    }
    entries_.swap(mine);
    other.entries_.swap(theirs);
  }
  for (ReplicaDisks* pool : {this, &other}) {
    for (auto& [replica, entry] : pool->entries_) {
      if (entry.disk != nullptr) pool->plug_disk(*entry.disk);
    }
  }
}

bool ReplicaDisks::take_copy(const ReplicaDisks& from, ReplicaId replica) {
  const auto it = from.entries_.find(replica);
  if (it == from.entries_.end() || !it->second.complete || entries_.contains(replica)) return false;
  Entry copy{it->second.record, it->second.disk->clone(), true, it->second.home};
  plug_disk(*copy.disk);
  entries_.emplace(replica, std::move(copy));
  return true;
}

std::unique_ptr<wal::MemDisk> ReplicaDisks::copy_of(ReplicaId replica) const {
  const auto it = entries_.find(replica);
  return it == entries_.end() || !it->second.complete ? nullptr : it->second.disk->clone();
}

void ReplicaDisks::restore(ReplicaId replica, std::unique_ptr<wal::MemDisk> copy) {
  const auto it = entries_.find(replica);
  if (it == entries_.end() || !it->second.complete) return;  // it is not here any more
  it->second.disk = std::move(copy);
  plug_disk(*it->second.disk);
}

std::vector<runtime::ReplicaRecord> ReplicaDisks::list() {
  std::vector<runtime::ReplicaRecord> records;
  for (const auto& [replica, entry] : entries_) {
    if (entry.complete && entry.home == node_) records.push_back(entry.record);
  }
  return records;
}

wal::Disk& ReplicaDisks::disk(ReplicaId replica) {
  const auto it = entries_.find(replica);
  CHECK(it != entries_.end());
  return *it->second.disk;
}

Status ReplicaDisks::create(const runtime::ReplicaRecord& record,
                            const wal::CreateOptions& wanted) {
  if (halted_) return Errc::cancelled;
  Entry& entry = entries_[record.replica];
  if (entry.complete) return make_error(Errc::already_exists, "the replica is there");
  entry.record = record;
  entry.home = node_;
  entry.disk = std::make_unique<wal::MemDisk>();
  plug_disk(*entry.disk);
  wal::CreateOptions options = wanted;
  if (trace_.enumerated()) {
    entry.disk->set_on_change([this](auto moment, const wal::Op* op) { changed(moment, op); });
  }
  options.geometry.log_bytes = options_.log_bytes;  // logs of production would never wrap here
  TRY(wal::Store::create_blocking(*entry.disk, options));
  if (halted_) return Errc::cancelled;
  entry.complete = true;
  return ok();
}

void ReplicaDisks::close(ReplicaId) {}

Status ReplicaDisks::remove(ReplicaId replica) {
  if (halted_) return Errc::cancelled;
  if (entries_.erase(replica) == 0) return make_error(Errc::not_found, "no such replica");
  return ok();
}

}  // namespace seawall::sim
