#include "engine/block_repair.h"

#include "engine/base/mutant.h"

namespace seawall {
namespace {

constexpr std::uint64_t unasked = 1ull << 63;  // no read has such a token

}  // namespace

BlockRepair::Job* BlockRepair::find(std::uint64_t id) {
  for (Job& job : jobs_) {
    if (job.id == id) return &job;
  }
  return nullptr;
}

// A read that was done again and failed again goes on where its job was.
bool BlockRepair::begin(std::uint64_t token, Lba lba, BlockCount blocks) {
  for (Job& job : jobs_) {
    if (job.token != token) continue;
    job.state = State::wanted;
    return true;
  }
  if (jobs_.full()) return false;
  Job job;
  job.id = next_id_++;
  job.token = token;
  job.lba = lba;
  job.blocks = blocks;
  jobs_.push_back(job);
  return true;
}

void BlockRepair::begin_unasked(Lba lba, BlockCount blocks) {
  const std::uint64_t token = unasked | lba.value();
  std::size_t count = 0;
  for (const Job& job : jobs_) {
    if (job.token == token) return;
    count += job.token >= unasked ? 1 : 0;
  }
  if (count < jobs_max / 2) begin(token, lba, blocks);  // readers find room
}

void BlockRepair::forget(std::uint64_t token) {
  jobs_.erase_if([&](const Job& job) { return job.token == token; });
}

void BlockRepair::clear() { jobs_.clear(); }

std::optional<BlockRepair::Question> BlockRepair::ask(ReplicaId peer) {
  for (Job& job : jobs_) {
    if (job.state != State::wanted || job.tried.contains(peer)) continue;
    job.state = State::asked;
    job.asked = peer;
    job.tried.push_back(peer);
    job.due = context_.now + answer_deadline;
    context_.want_wake(job.due);
    return Question{job.id, job.lba, job.blocks};
  }
  return std::nullopt;
}

void BlockRepair::session_over(ReplicaId peer) {
  for (Job& job : jobs_) {
    if (job.state == State::asked && job.asked == peer) job.state = State::wanted;
  }
}

void BlockRepair::on_payload(ReplicaId from, const message::BlocksPayload& answer) {
  Job* job = find(answer.id);
  if (job == nullptr || job->state != State::asked || job->asked != from) {
    ++context_.counters.unexpected;
    context_.drop(answer.slot);
    return;
  }
  if (answer.slot == no_slot) {
    job->state = State::wanted;
    return;
  }
  job->state = State::storing;
  context_.emit(command::RepairBlocks{job->id, job->lba, job->blocks, answer.slot});
  context_.drop(answer.slot);
}

std::optional<BlockRepair::Verdict> BlockRepair::on_repaired(const event::BlocksRepaired& done) {
  Job* job = find(done.id);
  if (job == nullptr || job->state != State::storing) return std::nullopt;  // given up meanwhile
  if (!done.any) {
    job->state = State::wanted;
    return std::nullopt;
  }
  job->state = State::reading;
  return Verdict{job->token, job->lba, job->blocks, true};
}

std::optional<BlockRepair::Verdict> BlockRepair::hopeless(const ReplicaSet& counting) {
  for (std::size_t i = 0; i < jobs_.size(); ++i) {
    Job& job = jobs_[i];
    if (job.state == State::asked) {  // silence is an answer, in the end
      if (context_.now < job.due) {
        context_.want_wake(job.due);
        continue;
      }
      job.state = State::wanted;
    }
    if (job.state != State::wanted) continue;
    bool left = false;
    for (const ReplicaId id : counting) left = left || !job.tried.contains(id);
    if (left) continue;
    const bool again = !job.last_look && !MUTANT(M110);
    const Verdict verdict{job.token, job.lba, job.blocks, again};
    job.last_look = true;
    job.state = State::reading;
    if (!again) jobs_.erase_at(i);
    return verdict;
  }
  return std::nullopt;
}

}  // namespace seawall
