#include "node/runtime/repair_lane.h"

#include "engine/base/chain.h"

namespace seawall::runtime {

RepairLane::RepairLane(Shard& shard, LinkTable& links, wal::Store& store)
    : shard_(shard), links_(links), store_(store) {}

RepairLane::Job* RepairLane::free_job() {
  for (Job& job : jobs_) {
    if (job.stage == Stage::idle) return &job;
  }
  return nullptr;
}

void RepairLane::answer(const command::ServeRecord& record, message::FetchResult result,
                        Slot slot) {
  const message::RecordPayload payload{record.header, result, record.to_primary, slot};
  links_.send(record.link, encode(record.envelope, payload, shard_.pool, shard_.scratch.meta));
}

void RepairLane::answer(const command::ServeBlocks& blocks, Slot slot) {
  const message::BlocksPayload payload{blocks.id, slot, blocks.to_primary};
  links_.send(blocks.link, encode(blocks.envelope, payload, shard_.pool, shard_.scratch.meta));
}

void RepairLane::serve(const command::ServeRecord& command) {
  Job* job = free_job();
  if (job == nullptr) return answer(command, message::FetchResult::busy, no_slot);
  job->of_record = true;
  job->record = command;
  job->stage = Stage::waiting;
}

void RepairLane::serve(const command::ServeBlocks& command) {
  Job* job = free_job();
  if (job == nullptr) return answer(command, no_slot);
  job->of_record = false;
  job->blocks = command;
  job->stage = Stage::waiting;
}

void RepairLane::begin(Job& job) {
  const std::uint64_t blocks =
      job.of_record ? job.record.header.blocks.value() : job.blocks.blocks.value();
  job.slot = SlotRef(shard_.pool, shard_.pool.take(blocks * limits::block_bytes));
  if (!job.slot) return;
  if (!job.of_record) return begin_base(job);
  job.log_op = wal::LogReadOp{};
  job.log_op.from = job.log_op.upto = job.record.header.lsn;
  job.log_op.into = shard_.pool.bytes(job.slot.slot());
  job.log_op.headers = std::span(&job.found, 1);
  job.log_op.crcs = shard_.pool.crcs(job.slot.slot());
  job.log_op.owner = &job;
  job.log_op.done = [](wal::LogReadOp& op) {
    static_cast<Job*>(op.owner)->stage = Stage::read_log;
  };
  job.stage = Stage::log;
  store_.read_log(job.log_op);
}

void RepairLane::begin_base(Job& job) {
  job.base_op = wal::ReadOp{};
  job.base_op.lba = job.of_record ? job.record.header.lba : job.blocks.lba;
  job.base_op.blocks = job.of_record ? job.record.header.blocks : job.blocks.blocks;
  job.base_op.into = shard_.pool.bytes(job.slot.slot());
  job.base_op.crcs = shard_.pool.crcs(job.slot.slot());
  job.base_op.owner = &job;
  job.base_op.done = [](wal::ReadOp& op) { static_cast<Job*>(op.owner)->stage = Stage::read_base; };
  job.stage = Stage::base;
  store_.read(job.base_op);
}

// The log's word, if it is a record of this history. What it cannot give the base may still hold.
void RepairLane::on_log(Job& job) {
  const bool named = job.log_op.count > 0;
  const RecordHeader& wanted = job.record.header;
  const bool same = named && job.found.lsn == wanted.lsn && job.found.term == wanted.term &&
                    job.found.chain == wanted.chain;
  if (job.log_op.result == Errc::ok && same) {
    const bool lost = (job.found.flags & record_flag_lost) != 0;
    answer(job.record, lost ? message::FetchResult::lost : message::FetchResult::found,
           lost ? no_slot : job.slot.slot());
  } else if (job.log_op.result == Errc::not_found) {
    return begin_base(job);
  } else {
    answer(job.record, message::FetchResult::none, no_slot);
  }
  job.slot.reset();
  job.stage = Stage::idle;
}

void RepairLane::on_base(Job& job) {
  const bool read = job.base_op.result == Errc::ok;
  if (!job.of_record) {
    answer(job.blocks, read ? job.slot.slot() : no_slot);
  } else {
    const bool fits =
        read && digest_crcs(shard_.pool.crcs(job.slot.slot())) == job.record.header.payload_digest;
    answer(job.record, fits ? message::FetchResult::found : message::FetchResult::none,
           fits ? job.slot.slot() : no_slot);
  }
  job.slot.reset();
  job.stage = Stage::idle;
}

void RepairLane::turn() {
  for (Job& job : jobs_) {
    if (job.stage == Stage::read_log) on_log(job);
    if (job.stage == Stage::read_base) on_base(job);
    if (job.stage == Stage::waiting) begin(job);
  }
}

bool RepairLane::reading() const {
  for (const Job& job : jobs_) {
    if (job.stage == Stage::log || job.stage == Stage::base) return true;
  }
  return false;
}

bool RepairLane::waiting() const {
  for (const Job& job : jobs_) {
    if (job.stage != Stage::idle && job.stage != Stage::log && job.stage != Stage::base)
      return true;
  }
  return false;
}

}  // namespace seawall::runtime
