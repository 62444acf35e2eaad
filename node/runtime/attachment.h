// Attachment: the front end's side of one attached volume.
//
// Purpose: gives each request a number, brings it to the primary (in this process or over a link),
// and brings its answer back, once. When the primary is lost it holds what is open, finds the next
// one (by hint, by asking every replica, by the controller's view), proves its position there, and
// resends what has not completed in the old order, ahead of new requests.
// Life cycle: construct, then update() with the view; stop() fails what is open. Thread: the
// shard's. Ownership: the slot of a submitted write is taken over; the slot of a completed read is
// handed over to the caller, who gives its reference back. Bounds: `open_max` requests, of which
// limits::request_table_max are on their way; a full attachment refuses (back-pressure).
// Completions run inside turn(), never inside submit(). Units: blocks of 4 KiB; milliseconds.
// Errors: io_error after ioTimeout from the first submission, or when the attachment is revoked or
// its position is lost; a request that the volume refuses ends with the primary's own status.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/limits.h"
#include "engine/client.h"
#include "node/runtime/attachment_state.h"
#include "node/runtime/growing_ring.h"
#include "node/runtime/link_table.h"
#include "node/runtime/primary_finder.h"
#include "node/runtime/shard.h"

namespace seawall::runtime {

class VolumeHost;

// The replicas of this process.
class LocalReplicas {
 public:
  virtual ~LocalReplicas() = default;
  // nullptr: no such replica here.
  virtual VolumeHost* find_replica(VolumeId volume, ReplicaId replica) = 0;
};

struct ClientIo {
  ClientOp op = ClientOp::read;
  Lba lba;
  BlockCount blocks;
  Slot slot = no_slot;  // write: the payload, exactly blocks * 4096 bytes
  bool fua = false;
  std::uint64_t cookie = 0;
};

struct AttachmentCounters {
  std::uint64_t submitted = 0, completed = 0, failed = 0, resent = 0, reconnects = 0,
                timed_out = 0, malformed = 0;
};

class Attachment final : public LinkUser, public LocalClient, public TimerUser {
 public:
  static constexpr std::size_t open_max = 256;
  static constexpr Duration pause_min{10};
  static constexpr Duration pause_max{500};
  static constexpr Duration attempt_max{1000};  // to connect and be let in
  static constexpr Duration silence_max{1000};  // with requests out, before others are asked
  static constexpr Duration io_timeout_default{30'000};

  // Runs inside turn(). `slot` holds the data of a read that went well, else no_slot.
  using Done = std::function<void(std::uint64_t cookie, ClientStatus status, Slot slot)>;

  Attachment(Shard& shard, LocalReplicas& local, AttachmentState& state, Done done);
  ~Attachment() override;
  Attachment(const Attachment&) = delete;
  Attachment& operator=(const Attachment&) = delete;

  // The controller's view, the first one before anything else; later ones may name another primary,
  // move addresses, or revoke the attachment.
  void update(const control::AttachmentView& view);
  // False: full, stopped or out of range of what a request may be; nothing was taken.
  [[nodiscard]] bool submit(const ClientIo& io);
  void turn(Instant now);
  // A host in this process has answered since the last turn.
  [[nodiscard]] bool has_news() const { return !said_.empty(); }
  // Sees to it that the next turn comes at once if there is news.
  void wake_for_news(Instant now);
  // Everything open fails with io_error in the next turn; nothing is accepted any more.
  void stop();

  [[nodiscard]] bool connected() const { return phase_ == Phase::connected; }
  [[nodiscard]] bool ended() const { return ended_; }
  // It ended because its generation is not attached any more.
  [[nodiscard]] bool detached() const { return detached_; }
  [[nodiscard]] Epoch epoch() const { return epoch_; }  // of the last connection
  [[nodiscard]] std::size_t open() const;               // requests without an answer
  [[nodiscard]] const char* reason() const { return reason_; }
  [[nodiscard]] const control::AttachmentView& view() const { return view_; }
  [[nodiscard]] std::optional<Position> seen() const { return seen_; }
  [[nodiscard]] const AttachmentCounters& counters() const { return counters_; }

  // --- LinkUser ---
  void on_connected(LinkId link) override;
  [[nodiscard]] bool admits(LinkId link, FrameType type) const override;
  void on_frame(LinkId link, const Frame& frame) override;
  void on_closed(LinkId link) override;
  // --- LocalClient ---
  void on_attach_reply(LinkId link, const ClientAttachReply& reply) override;
  void on_done(LinkId link, const ClientDone& done) override;
  void on_hung_up(LinkId link) override;
  // --- TimerUser ---
  void on_timer(Instant now) override;

 private:
  enum class Phase : std::uint8_t { searching, dialling, attaching, connected };
  enum class RequestState : std::uint8_t { free, queued, sent, finished };
  struct Request {
    RequestState state = RequestState::free;
    RequestNumber number;
    ClientIo io;
    std::uint64_t digest = 0;
    Instant first_submitted;
    ClientStatus status = ClientStatus::ok;
    SlotRef slot;  // write: the payload; read that ended well: the data
  };
  // What a local host said inside its step; looked at in turn().
  struct Said {
    enum class Kind : std::uint8_t { attach_reply, done, hung_up } kind = Kind::hung_up;
    LinkId link;
    ClientAttachReply reply;
    ClientDone done;
    SlotRef slot;
  };

  Request& at(RequestNumber number) { return requests_[number.value() % open_max]; }
  // True: newer than what was known.
  bool learn(Epoch epoch, ReplicaId primary);
  void hear(const PrimaryIs& answer, Instant now);
  void ask_everybody(Instant now);
  ClientAttach attach_message();
  void try_primary(Instant now);
  void give_up_link(const char* reason, Instant now);
  void end_link();
  void handle_said(Instant now);
  void handle_reply(const ClientAttachReply& reply, Instant now);
  void handle_done(const ClientDone& done, SlotRef data, Instant now);
  void become_connected(Epoch epoch, Instant now);
  void requeue_sent();
  void send_ready(Instant now);
  void send(Request& request);
  void finish(Request& request, ClientStatus status, SlotRef data);
  void end_for_good(const char* reason);
  void end_detached();
  void check_deadlines(Instant now);
  void deliver();
  void arm_timer(Instant now);
  [[nodiscard]] Duration io_timeout() const;
  // Since when an answer has been owed; only with requests open.
  [[nodiscard]] Instant owed_since();
  [[nodiscard]] const std::string* address_of(ReplicaId replica) const;

  Shard& shard_;
  LocalReplicas& local_;
  AttachmentState& state_;
  Done done_;
  PrimaryFinder finder_;
  control::AttachmentView view_;
  bool has_view_ = false;
  bool ended_ = false;
  bool detached_ = false;
  const char* reason_ = "";

  Phase phase_ = Phase::searching;
  std::optional<LinkId> link_;
  VolumeHost* host_ = nullptr;  // of a local link
  ConnectionNumber connection_;
  Epoch known_epoch_;           // the greatest epoch heard of, and its primary
  ReplicaId known_primary_;
  ReplicaId target_;            // the replica at the other end of the link
  Epoch epoch_;
  Instant phase_since_;
  Instant last_answer_;
  Instant asked_since_;         // when the round of questions began
  Duration pause_ = pause_min;
  std::optional<Instant> next_try_;
  std::optional<Instant> resend_at_;

  std::unique_ptr<std::array<Request, open_max>> requests_storage_;
  std::array<Request, open_max>& requests_;
  RequestNumber low_{1};   // everything below is finished and delivered
  RequestNumber next_{1};
  RequestNumber unsent_{1};  // nothing queued is below it
  std::optional<Position> seen_;
  Epoch proved_by_;
  GrowingRing<RequestNumber> finished_{16, open_max};
  GrowingRing<Said> said_{16, 2048};
  std::optional<Instant> armed_;
  AttachmentCounters counters_;
};

}  // namespace seawall::runtime
