// BlockRepair: blocks that a read found bad here, fetched from replicas that count.
//
// A job begins with a read that failed; it asks one replica after the other, in the order of their
// ids, and lets the store take what fits its own CRCs. As soon as anything fitted the read is done
// again; when nobody is left it is done once more, for the peers may have sent what a newer record
// says, which the own log has by now. Then its client gets an I/O error, for those blocks alone.
// Life cycle: with the Primary. Thread: the Core's. Ownership: a slot that arrives goes to
// RepairBlocks in that step. Bounds: `jobs_max` jobs; a read beyond them is answered with the error
// at once. Errors: none.
#pragma once

#include <cstdint>
#include <optional>

#include "engine/context.h"

namespace seawall {

class BlockRepair {
 public:
  static constexpr std::size_t jobs_max = 16;
  static constexpr Duration answer_deadline{3'000};

  // Jobs are numbered from `first_id` on.
  explicit BlockRepair(Context& context, std::uint64_t first_id = 1)
      : context_(context), next_id_(first_id) {}

  // False: no room, or everybody has been asked: the read has failed.
  bool begin(std::uint64_t token, Lba lba, BlockCount blocks);
  // Without a reader: found by a look at all blocks. One job an lba, and at most half of them all;
  // what finds no room is found again by the next look.
  void begin_unasked(Lba lba, BlockCount blocks);
  void forget(std::uint64_t token);  // nobody waits for that read any more
  void clear();

  struct Question {
    std::uint64_t id = 0;
    Lba lba;
    BlockCount blocks;
  };
  // What to ask `peer` now, and notes that it is asked.
  std::optional<Question> ask(ReplicaId peer);
  void session_over(ReplicaId peer);
  void on_payload(ReplicaId from, const message::BlocksPayload& answer);

  struct Verdict {
    std::uint64_t token = 0;
    Lba lba;
    BlockCount blocks;
    bool again = false;  // read once more; else it has failed
  };
  std::optional<Verdict> on_repaired(const event::BlocksRepaired& done);
  // A job that none of `counting` may be asked for any more: to be read a last time, or failed.
  std::optional<Verdict> hopeless(const ReplicaSet& counting);

  [[nodiscard]] std::size_t size() const { return jobs_.size(); }

 private:
  enum class State : std::uint8_t { wanted, asked, storing, reading };
  struct Job {
    std::uint64_t id = 0;
    std::uint64_t token = 0;
    Lba lba;
    BlockCount blocks;
    State state = State::wanted;
    ReplicaId asked;
    ReplicaSet tried;
    Instant due;
    bool last_look = false;  // nobody is left, and it is being read for the last time
  };
  Job* find(std::uint64_t id);

  Context& context_;
  BoundedVector<Job, jobs_max> jobs_;
  std::uint64_t next_id_;
};

}  // namespace seawall
