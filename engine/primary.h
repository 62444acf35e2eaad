// Primary: appends, replicates, commits, serves; brings replicas back.
//
// Life cycle: begin() with the assignment of an epoch; waiting for the durable promise and for
// grants to older primaries; then the term-start record; serving from its commit (writeCache none:
// from its stability) on; stop() when a higher epoch shows, the own log fails or the replica is
// removed. Every epoch starts with nothing known. Thread: the Core's.
// Invariants: stable <= committed <= written; neither goes back in an epoch; neither is known below
// the term-start; sizes come from the configuration.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "engine/block_repair.h"
#include "engine/drain.h"
#include "engine/lease.h"
#include "engine/membership.h"
#include "engine/peer_progress.h"
#include "engine/plan_journal.h"
#include "engine/recovery_plan.h"
#include "engine/repair.h"
#include "engine/requests.h"
#include "engine/write_throttle.h"

namespace seawall {

enum class PrimaryPhase : std::uint8_t { off, waiting, proving, serving };

class Primary {
 public:
  using Peers = BoundedVector<Peer, limits::peers_max>;

  Primary(Context& context, Attachments& attachments, Repair& repair)
      : context_(context),
        attachments_(attachments),
        repair_(repair),
        blocks_(context),
        requests_(context, attachments, *this),
        membership_(context, *this),
        drain_(context) {}
  Primary(const Primary&) = delete;
  Primary& operator=(const Primary&) = delete;

  // --- life ---
  void begin();                                   // context.assignment names this replica
  void on_new_revision(const Assignment& before);  // same epoch
  void stop(ClientStatus status);
  void advance();  // after every event
  void tick();     // after everything else of its moment

  // --- events ---
  void on_peer_up(ReplicaId peer, LinkId link);
  void on_link_down(LinkId link);
  void on_message(LinkId link, const message::Envelope& envelope,
                  const message::PeerMessage& message);
  void on_log_streamed(const event::LogStreamed& done);
  void on_log_space();
  void on_blocks_repaired(const event::BlocksRepaired& done);
  void on_blocks_rotten(const event::BlocksRotten& found);
  // Somebody besides this one holds what it holds, and could go on without it.
  [[nodiscard]] bool anybody_counts() const;
  void on_base_frozen(const event::BaseFrozen& done);
  void on_base_sent(const event::BaseSent& done);
  void on_refused(const ConfigRefusal& refusal) { membership_.on_refused(refusal); }
  void on_client_opened(LinkId link, const ClientAttach& attach);
  void on_client_closed(LinkId link);
  void on_client_asked(LinkId link, const ClientRequest& request);  // while it serves

  // --- for Requests and Membership ---
  // A read found bad blocks: true, if somebody may still have them.
  bool repair_read(std::uint64_t token, Lba lba, BlockCount blocks) {
    return blocks_.begin(token, lba, blocks);
  }
  void read_is_over(std::uint64_t token) { blocks_.forget(token); }
  Lsn append_record(RecordHeader& header, Slot slot);
  void want_barrier(Lsn target) { barriers_.want(target); }
  WriteThrottle& throttle() { return throttle_; }
  [[nodiscard]] bool has_lease() const;
  [[nodiscard]] bool completes_when_stable() const;  // writeCache none, on either side of a change
  [[nodiscard]] Lsn visible() const;                 // what may have completed
  // So many have promised a higher epoch that those who are left can never commit anything. Fewer
  // do not matter: a fence that reached too few leaves this primary in office.
  [[nodiscard]] bool outvoted() const;
  [[nodiscard]] Position position_seen() const { return Position{epoch_, visible()}; }
  [[nodiscard]] std::optional<Lsn> proved_on(const Configuration& config) const;
  // What another configuration has to hold durably before it is proposed: the head. In a full log
  // what may have completed will do, for the head may wait for room that only the change can make.
  [[nodiscard]] Lsn to_prove() const {
    const bool tight = context_.fill_percent >= tight_percent && committed_.has_value();
    return tight ? *committed_ : context_.log.head();
  }

  // --- state ---
  [[nodiscard]] PrimaryPhase phase() const { return phase_; }
  [[nodiscard]] bool on() const { return phase_ != PrimaryPhase::off; }
  [[nodiscard]] bool active() const { return phase_ >= PrimaryPhase::proving; }
  [[nodiscard]] bool serving() const { return phase_ == PrimaryPhase::serving; }
  [[nodiscard]] Epoch epoch() const { return epoch_; }
  [[nodiscard]] Lsn term_start() const { return term_start_; }
  [[nodiscard]] std::optional<Lsn> committed() const { return committed_; }
  [[nodiscard]] std::optional<Lsn> stable() const { return stable_; }
  [[nodiscard]] const Peers& peers() const { return peers_; }
  [[nodiscard]] const Peer* peer(ReplicaId id) const;
  [[nodiscard]] const Membership& membership() const { return membership_; }
  [[nodiscard]] Requests& requests() { return requests_; }
  [[nodiscard]] const Requests& requests() const { return requests_; }
  [[nodiscard]] const PlanJournal& journal() const { return journal_; }
  // A planned move may fence now: nothing is open, and the head is stable.
  [[nodiscard]] bool drained() const {
    return drain_.on() && serving() && requests_.open() == 0 && stable_ == context_.log.head();
  }
  [[nodiscard]] const Drain& drain() const { return drain_; }
  [[nodiscard]] std::size_t tape_size() const { return tape_.size(); }

 private:
  friend struct DigestAccess;  // digest.cc: names every field
  struct TapeEntry {
    RecordHeader header;
    Slot slot = no_slot;
  };
  struct Deadline {
    Instant at;
    ReplicaId replica;
    std::optional<SessionEnd> end;  // of its session; none: it is greeted again
    [[nodiscard]] bool before(const Deadline& other) const {
      if (MUTANT(M117) || at == other.at) return replica < other.replica;
      return at < other.at;
    }
  };
  static constexpr std::uint8_t tight_percent = 50;  // the log wants to be folded from here on
  static constexpr std::size_t tape_max = 256;
  static constexpr std::uint64_t tape_bytes_max = 4 * limits::MiB;

  // primary.cc
  void maybe_begin_term();
  void update_watermarks();
  void prove_self();
  void maybe_send_barrier();
  void maybe_relieve();
  void advance_drain();
  void end_drain();
  void send_barrier(std::uint64_t id, Lsn target);
  void send_heartbeats();
  [[nodiscard]] Lsn fold_limit() const;
  [[nodiscard]] std::optional<Instant> lease_until() const;
  [[nodiscard]] bool revoked(AttachmentId attachment) const;
  [[nodiscard]] bool proves(const ClientAttach& attach) const;

  // primary_peers.cc: sessions and the stream
  void sync_peers();
  Peer* find_peer(ReplicaId id);
  Peer* session_of(const message::Envelope& envelope, LinkId link);
  Peer* session_of(ReplicaId id, const SessionId& session);
  void dial(Peer& peer);
  void greet(Peer& peer);
  void close(Peer& peer, SessionEnd end);
  void fail(Peer& peer, FailureKind kind);
  void back_off(Peer& peer, Duration pause, std::uint32_t nth);
  void hang_up(Peer& peer, bool again);
  void obey_word(Peer& peer, std::uint32_t word);
  void drop_peer(Peer& peer);
  void execute(Peer& peer, const Plan& plan, const ReplicaFacts& facts);
  void start_stream(Peer& peer, Lsn common, const ReplicaFacts& facts);
  void pump(Peer& peer);
  void send_from_tape(Peer& peer);
  void trim_tape();
  [[nodiscard]] bool window_open(const Peer& peer) const;
  void maybe_prove(Peer& peer);
  void note_floor(Peer& peer);
  void note_in_sync(Peer& peer);
  void note_grant(Peer& peer, Instant echo);
  void progress(Peer& peer, Lsn written, Lsn durable, Lsn applied);
  std::optional<Deadline> deadline_of(Peer& peer);
  void peer_deadlines();
  void send(Peer& peer, const message::PeerMessage& message);
  [[nodiscard]] message::Envelope envelope_to(const Peer& peer) const;
  [[nodiscard]] SessionId session_id(const Peer& peer) const { return {epoch_, peer.session}; }

  void on(Peer& peer, const message::HelloReply& reply);
  void on(Peer& peer, const message::RewindDone& done);
  void on(Peer& peer, const message::Ack& ack);
  void on(Peer& peer, const message::Nack& nack);
  void on(Peer& peer, const message::BarrierDone& done);
  void on(Peer& peer, const message::HeartbeatReply& reply);
  void on(Peer& peer, const message::RebuildReady& ready);
  void on(Peer& peer, const message::BaseMap& map);
  void on(Peer& peer, const message::BaseAck& ack);
  void on(Peer& peer, const message::RebuildComplete& complete);
  void on(Peer& peer, const message::MarkerCleared& cleared);
  void on(Peer& peer, const message::FetchRecord& fetch);
  void on(Peer& peer, const message::RecordPayload& answer) { repair_.on_payload(peer.id, answer); }
  void on(Peer& peer, const message::FetchBlocks& fetch);
  void on(Peer& peer, const message::BlocksPayload& answer);

  // primary_convergence.cc
  void converge(Peer& peer);
  void slow_writers(Peer& peer);
  void set_throttle();
  [[nodiscard]] std::uint64_t throttle_floor() const;
  [[nodiscard]] StreamBytes stream_bytes(const Peer& peer) const;

  // primary_repair.cc
  void repair();
  [[nodiscard]] ReplicaSet all_members() const;

  // plan_journal.cc
  void journal_plan(Peer& peer, const Plan& plan, const ReplicaFacts& facts);
  void journal(const Peer& peer, PlanStage stage, SessionEnd end = SessionEnd::epoch_over);

  // primary_rebuild.cc: the source of a rebuild
  void start_rebuild(Peer& peer, const Plan& plan, const ReplicaFacts& facts);
  void ask_map(Peer& peer, Lba from);
  void pump_base(Peer& peer);

  Context& context_;
  Attachments& attachments_;
  Repair& repair_;
  BlockRepair blocks_;
  Requests requests_;
  Membership membership_;
  Drain drain_;

  PrimaryPhase phase_ = PrimaryPhase::off;
  Epoch epoch_;
  Lsn term_start_;
  std::optional<Lsn> committed_, stable_;
  Lsn shown_;  // may have completed: a change to writeCache none does not take it back
  Peers peers_;
  std::uint64_t session_counter_ = 0;
  BarrierPlan barriers_;
  Lsn flush_covers_;
  Lsn barrier_bytes_from_;  // own barriers by bytes count from here
  Instant unstable_since_;
  bool unstable_ = false;
  std::optional<Lsn> stable_seen_;  // stable has been this ...
  Instant stuck_since_;             // ... since
  Instant next_heartbeat_;
  RingBuffer<TapeEntry, tape_max> tape_;  // contiguous, ends at the head; for streams that catch up
  std::uint64_t tape_bytes_ = 0;
  WriteThrottle throttle_;
  std::uint64_t unhindered_ = 0;          // what the writers wrote before they were slowed
  AttachmentId newest_attachment_;        // ever granted in this process
  PlanJournal journal_;
  TermTable rebuild_terms_;               // what the last StartRebuild pointed to
  RequestTables rebuild_requests_;        // what the last BaseRequests pointed to
};

}  // namespace seawall
