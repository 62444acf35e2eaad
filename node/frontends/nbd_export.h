// One NBD export: requests of all its connections on their way to the block device.
//
// Purpose: a request is split into pieces that the log can take, and no more pieces than the
// attachment's queue depth are under way at once; the rest waits here, in turn. A job outlives its
// connection: what was submitted is waited for, and only the reply is dropped.
// Life cycle: add a job per request; remove() stops new work, and when the last piece has answered
// the export is idle. Thread: the shard's. Ownership: jobs and pieces belong to the export's lists
// and are reused, so nothing is allocated once they have grown to the depth in use.
// Invariants: pieces_in_flight <= kPiecesMax; a job's `finished` runs exactly once.
#pragma once

#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "engine/base/limits.h"
#include "node/frontends/block_target.h"
#include "node/frontends/nbd_protocol.h"
#include "node/runtime/buffer_pool.h"

namespace seawall::nbd {

class Export;

// One request of a client.
struct Job {
  Request wire;
  ClientOp op = ClientOp::read;
  bool fua = false;
  bool zero_payload = false;      // zeroes that must be allocated travel as a write
  std::uint64_t at = 0;           // next byte to issue, relative to wire.offset
  std::uint32_t open = 0;         // pieces made and not done
  bool whole = false;             // no further piece comes
  WireError error = WireError::none;
  std::vector<Slot> slots;        // read: the data, piece by piece
  std::vector<std::size_t> sizes;
  void* connection = nullptr;     // nullptr: the client is gone
  class Server* server = nullptr;
  Export* home = nullptr;
  void (*finished)(Job&) = nullptr;
};

struct ExportCounters {
  std::uint64_t reads = 0, writes = 0, flushes = 0, discards = 0, zeroes = 0, errors = 0;
};

class Export {
 public:
  static constexpr std::size_t kPiecesMax = limits::queue_depth_max;

  Export(std::string name, frontends::BlockTarget& target, runtime::BufferPool& pool);
  ~Export();
  Export(const Export&) = delete;
  Export& operator=(const Export&) = delete;

  const std::string& name() const { return name_; }
  std::uint64_t size_bytes() const { return target_.size().value() * limits::block_bytes; }
  std::size_t piece_bytes() const;

  Job* make_job();
  void free_job(Job& job);
  // Issues a read, flush, discard or zeroes job piece by piece.
  void issue(Job& job);
  // One piece of a write whose payload is in `slot`, CRCs filled; takes the reference.
  void write_piece(Job& job, std::uint64_t at, Slot slot, std::size_t bytes);
  // All pieces of a write have been handed over.
  void finish_write(Job& job);

  // Goes on with what waits for memory.
  void retry() { pump(); }
  // New pieces are no longer issued; jobs end with `shutdown` as what is under way answers.
  void remove();
  bool removed() const { return removed_; }
  std::size_t jobs_open() const { return jobs_open_; }
  std::size_t pieces_in_flight() const { return in_flight_; }
  const ExportCounters& counters() const { return counters_; }

 private:
  struct Piece {
    frontends::BlockRequest request;
    Export* owner = nullptr;
    Job* job = nullptr;
    std::size_t index = 0;  // of a read, in job->slots
  };

  Piece* make_piece(Job& job);
  void pump();
  bool issue_next(Job& job);
  void submit(Piece& piece);
  static void on_done(frontends::BlockRequest& request);
  void piece_done(Piece& piece);
  void maybe_finish(Job& job);
  Slot take_zeroes(std::size_t bytes);
  void count(const Job& job);

  const std::string name_;
  frontends::BlockTarget& target_;
  runtime::BufferPool& pool_;
  bool removed_ = false;
  std::size_t jobs_open_ = 0;
  std::size_t in_flight_ = 0;
  bool pumping_ = false;
  Slot zeroes_ = no_slot;
  std::deque<Piece*> ready_;   // writes whose turn has not come
  std::deque<Job*> issuing_;   // other jobs with pieces to come, in turn
  std::vector<std::unique_ptr<Job>> jobs_;
  std::vector<Job*> free_jobs_;
  std::vector<std::unique_ptr<Piece>> pieces_;
  std::vector<Piece*> free_pieces_;
  ExportCounters counters_;
};

}  // namespace seawall::nbd
