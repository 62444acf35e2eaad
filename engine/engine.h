// Engine: the state behind Core. Dispatches events to the two roles; holds what is neither's.
//
// Tests and invariants look inside through it; nobody else includes this header. Thread: the
// Core's.
#pragma once

#include "engine/attachments.h"
#include "engine/context.h"
#include "engine/primary.h"
#include "engine/repair.h"
#include "engine/replica.h"

namespace seawall {

class Engine {
 public:
  explicit Engine(const CoreOptions& options);
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  void step(Instant now, const Event& event, Commands& out);

  [[nodiscard]] const Context& context() const { return context_; }
  [[nodiscard]] const Primary& primary() const { return primary_; }
  [[nodiscard]] const Replica& replica() const { return replica_; }
  [[nodiscard]] const Attachments& attachments() const { return attachments_; }
  [[nodiscard]] const Repair& repair() const { return repair_; }
  [[nodiscard]] Role role() const;
  [[nodiscard]] const char* reason() const { return reason_; }

 private:
  friend struct DigestAccess;  // digest.cc: names every field
  void on(const event::Opened& event);
  void on(const event::Tick& event);
  void on(const event::Assigned& event);
  void on(const event::Fence& event);
  void on(const event::ProposalRefused& event);
  void on(const event::Removed& event);
  void on(const event::PeerUp& event);
  void on(const event::PeerDown& event);
  void on(const event::Received& event);
  void on(const event::LinkClosed& event);
  void on(const event::LogWritten& event);
  void on(const event::LogDurable& event);
  void on(const event::LogFailed& event);
  void on(const event::SuperWritten& event);
  void on(const event::RewindDone& event);
  void on(const event::Checkpointed& event);
  void on(const event::LogSpace& event);
  void on(const event::LogStreamed& event);
  void on(const event::BaseFrozen& event);
  void on(const event::BaseSent& event);
  void on(const event::RebuildPrepared& event);
  void on(const event::BaseMapRead& event);
  void on(const event::BaseWritten& event);
  void on(const event::BaseFlushed& event);
  void on(const event::ClientOpened& event);
  void on(const event::ClientClosed& event);
  void on(const event::ClientAsked& event);
  void on(const event::ReadDone& event);
  void on(const event::LogRepaired& event);
  void on(const event::RecordUnknown& event);
  void on(const event::BlocksRepaired& event);
  void on(const event::BlocksRotten& event);
  void on(const event::LostByWord& event);

  [[nodiscard]] bool stale(const Assignment& assignment);
  void take(const Assignment& assignment);
  void refuse(const Assignment& assignment, const char* reason);
  [[nodiscard]] const char* unfit_to_lead(const Assignment& assignment) const;
  void step_down(const char* reason, bool want_failover);
  void settle();

  Context context_;
  Attachments attachments_;
  Repair repair_;
  Replica replica_;
  Primary primary_;
  bool stepped_down_ = false;
  const char* reason_ = "";
  std::optional<Instant> last_wake_;
};

}  // namespace seawall
