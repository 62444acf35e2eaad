// Replica: the follower's side. Promises, reports, takes the stream, proves what it holds.
//
// Life cycle: with the Core; a Hello of the epoch's primary opens a session, a newer Hello or a
// higher promise ends it. Thread: the Core's. Invariants: nothing is acknowledged under an epoch
// before its promise is durable and the grants to older primaries have run out; a record enters the
// log only as the next one of the session's stream, and only if the chain agrees.
#pragma once

#include <cstdint>
#include <optional>

#include "engine/attachments.h"
#include "engine/block_repair.h"
#include "engine/context.h"
#include "engine/repair.h"

namespace seawall {

enum class ReplicaStage : std::uint8_t {
  none,        // no session
  answered,    // HelloReply is out, the plan is awaited
  streaming,
  rewinding,   // the own log is being cut
  preparing,   // marker and floor are being made durable
  rebuilding,  // base lane and log lane
  clearing,    // accepted: the marker is being removed
  refused,     // a Nack is out: waits for a new handshake
};
const char* replica_stage_name(ReplicaStage stage);

class Replica {
 public:
  static constexpr std::uint64_t first_block_repair = 1ull << 32;  // the primary's come before

  Replica(Context& context, Attachments& attachments, Repair& repair)
      : context_(context),
        attachments_(attachments),
        repair_(repair),
        blocks_(context, first_block_repair) {}

  void on_message(LinkId link, const message::Envelope& envelope,
                  const message::PeerMessage& message);
  void on_link_closed(LinkId link);
  void on_fence(const FenceRequest& request);
  void on_log_written();
  void on_log_durable();
  void on_log_failed();
  void on_rewound(const event::RewindDone& done);
  void on_prepared(const event::RebuildPrepared& done);
  void on_base_map_read(const event::BaseMapRead& done);
  void on_base_written(const event::BaseWritten& done);
  void on_base_flushed(const event::BaseFlushed& done);
  void on_marker_cleared(const SessionId& session);
  void on_blocks_rotten(const event::BlocksRotten& found);
  void on_blocks_repaired(const event::BlocksRepaired& done);
  // Greets and reports that waited for a promise, a grant or the disk. `wants_rest`: somebody else,
  // too, waits until the log is written to its head.
  void advance(bool wants_rest);
  // A higher promise, or the role of a primary: whatever was open is over.
  void end_session();
  void on_epoch(Epoch epoch);  // a committed assignment: what is older is over
  void stop();  // removed

  [[nodiscard]] ReplicaStage stage() const { return stage_; }
  // A primary streams to it: there is somebody to ask.
  [[nodiscard]] bool follows() const { return stage_ == ReplicaStage::streaming; }
  [[nodiscard]] bool log_busy() const { return rewinding_ || preparing_; }
  [[nodiscard]] std::optional<Lsn> told_committed() const { return told_committed_; }
  [[nodiscard]] std::optional<Lsn> told_stable() const { return told_stable_; }
  [[nodiscard]] SessionId session() const { return session_; }
  [[nodiscard]] bool fence_pending() const { return fence_.has_value(); }

 private:
  friend struct DigestAccess;  // digest.cc: names every field
  struct Greeting {
    LinkId link;
    message::Envelope envelope;
    Instant sent_at;
  };
  struct PendingBarrier {
    std::uint64_t id = 0;
    Lsn target;
  };

  void on(const message::Hello& hello, LinkId link, const message::Envelope& envelope);
  void on(const message::StartStream& start);
  void on(const message::Rewind& rewind);
  void on(const message::Append& append);
  void on(const message::Barrier& barrier);
  void on(const message::Heartbeat& heartbeat);
  void on(const message::BaseRequests& requests);
  void on(const message::StartRebuild& start);
  void on(const message::AskBaseMap& ask);
  void on(const message::BaseBlocks& blocks);
  void on(const message::BaseEnd& end);
  void on(const message::RebuildAccepted& accepted);
  void on(const message::FetchRecord& fetch);
  void on(const message::RecordPayload& answer);
  void on(const message::FetchBlocks& fetch);
  void on(const message::BlocksPayload& answer);

  bool admit(LinkId link, const message::Envelope& envelope);
  void accept_greeting();
  void report_fence();
  void take_record(const message::Append& append);
  void judge_known_record(const message::Append& append);
  void adopt_log(const ReplicaFacts& facts);
  void learn(const std::optional<Lsn>& committed, const std::optional<Lsn>& stable);
  void fold();
  void repair();
  void answer_barriers();
  void acknowledge();
  void maybe_complete_rebuild();
  void give_up_base();
  void flush_upto(Lsn target);
  void maybe_withdraw(bool wants_rest);
  void refuse(message::NackReason reason);
  void nack(LinkId link, const message::Envelope& envelope, message::NackReason reason);
  void send(message::PeerMessage message);
  void send_granting(message::PeerMessage message);
  [[nodiscard]] bool takes_records() const {
    return stage_ == ReplicaStage::streaming || stage_ == ReplicaStage::rebuilding ||
           stage_ == ReplicaStage::clearing;
  }

  Context& context_;
  Attachments& attachments_;
  Repair& repair_;
  BlockRepair blocks_;

  // The session.
  ReplicaStage stage_ = ReplicaStage::none;
  SessionId session_;               // newest ever accepted: older or equal ones are refused
  LinkId link_;
  message::Envelope reply_;         // envelope of our answers
  Instant echo_;                    // sending time of the newest message of this session
  std::optional<Lsn> told_committed_, told_stable_;
  Lsn held_stable_;                 // stable and in this log; outlives the session
  std::optional<Lsn> head_at_handshake_;
  RingBuffer<PendingBarrier, 16> barriers_;
  Lsn flush_covers_;                // a FlushLog is out, or done, up to here

  // Before a session.
  std::optional<Greeting> greeting_;
  std::optional<FenceRequest> fence_;
  FenceReport fence_report_;        // what the last ReportFence pointed to
  std::optional<Instant> unrest_since_;  // waits for the log since
  bool rewinding_ = false;          // a RewindLog is out, whatever became of its session
  bool preparing_ = false;          // a PrepareRebuild is out

  // The base lane of a rebuild.
  Lsn cut_;
  std::optional<Lsn> since_;
  bool map_out_ = false;            // a ReadBaseMap is out
  std::uint64_t base_received_ = 0;
  std::uint64_t base_written_ = 0;
  std::uint64_t base_digest_ = 0;
  std::optional<message::BaseEnd> base_end_;
  bool base_flush_out_ = false;
  bool base_flushed_ = false;
  bool complete_sent_ = false;
  TermTable cut_terms_;             // what the last PrepareRebuild pointed to
  std::optional<RequestTables> cut_requests_;  // likewise; come before StartRebuild
  std::uint64_t requests_digest_ = 0;          // of what the disk holds of them
};

}  // namespace seawall
