// Carrier: carries one command of a Core out on the models of its node.
//
// The counterpart of node/runtime's executor: it takes no decision. Every answer is an Op that the
// cluster runs later, so a script can hold it back. Thread: the test's.
#pragma once

#include "tests/script/cluster.h"

namespace seawall::script {

struct Carrier {
  Cluster& cluster;
  Node& node;

  void on(const command::AppendLog& c);
  void on(const command::FlushLog& c);
  void on(const command::SetFoldLimit& c);
  void on(const command::PinLog& c);
  void on(const command::UnpinLog& c);
  void on(const command::WriteSuper& c);
  void on(const command::RewindLog& c);
  void on(const command::DialPeer& c);
  void on(const command::HangUp& c);
  void on(const command::StopDialling& c);
  void on(const command::Send& c);
  void on(const command::StreamLog& c);
  void on(const command::FreezeBase& c);
  void on(const command::CompareBase& c);
  void on(const command::SendBase& c);
  void on(const command::ReadBaseMap& c);
  void on(const command::ThawBase& c);
  void on(const command::PrepareRebuild& c);
  void on(const command::WriteBase& c);
  void on(const command::FlushBase& c);
  void on(const command::ServeRecord& c);
  void on(const command::ServeBlocks& c);
  void on(const command::RepairLog& c);
  void on(const command::RepairBlocks& c);
  void on(const command::DistrustBase& c);
  void on(const command::AttachReply& c);
  void on(const command::Complete& c);
  void on(const command::ReadData& c);
  void on(const command::DropSlot& c);
  void on(const command::ReportFence& c);
  void on(const command::RefuseFence& c);
  void on(const command::RefuseAssignment& c);
  void on(const command::Propose& c);
  void on(const command::RequestFailover& c);
  void on(const command::WakeAt& c);

  void later(const char* kind, std::function<void()> run,
             std::function<bool()> ready = [] { return true; });
  void send(LinkId link, Packet packet);
  void send_column(const command::SendBase& c, SourceLane& lane, Lba lba);
  void flush(Lsn upto);
};

}  // namespace seawall::script
