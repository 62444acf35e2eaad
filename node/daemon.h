// The node daemon: pool, shards, data port, and the seam to the control edge.
//
// Life cycle: create() checks everything that can be refused (address, pool) and changes nothing
// when it refuses; start() launches the shards and accepts links; stop() ends them cleanly and
// waits. Thread: create, start and stop are main's; the NodeDaemon calls may come from any thread.
// Ownership: owns pool and shards; the control port is borrowed and outlives it.
// Errors: a Refused with one sentence and the exit code of the process.
#pragma once

#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "engine/base/fatal.h"
#include "node/config.h"
#include "node/io/acceptor.h"
#include "node/io/pool.h"
#include "node/io/steady_clock.h"
#include "node/node_api.h"
#include "node/shard.h"

namespace seawall::node {

struct Refused {
  FatalReason reason = FatalReason::bad_configuration;
  std::string sentence;
};

class Daemon final : public NodeDaemon {
 public:
  // The edge needs the identity that the pool holds, so the control port comes with start().
  static std::variant<std::unique_ptr<Daemon>, Refused> create(const NodeConfig& config);
  ~Daemon() override;

  const io::Pool& pool() const { return *pool_; }
  std::string data_address() const { return acceptor_->address().to_string(); }
  void start(control::ControlPort& control);
  void stop();

  Status post(const control::ToNode& message) override;
  void attach(AttachRequest request, std::function<void(Attached)> done) override;
  void accept_loss(LossAccepted word, std::function<void(LossOutcome)> done) override;
  void detach(VolumeId volume, AttachmentId attachment,
              std::function<void(Outcome)> done) override;
  void status(std::function<void(NodeStatus)> done) override;

 private:
  explicit Daemon(const NodeConfig& config);
  std::size_t shard_index(VolumeId volume) const;
  Shard& shard_of(VolumeId volume) { return *shards_[shard_index(volume)]; }
  ShardOptions shard_options(unsigned index) const;
  void route(VolumeId volume, io::AcceptedLink link);

  const NodeConfig config_;
  io::SteadyClock clock_;
  std::unique_ptr<io::Pool> pool_;
  std::vector<std::unique_ptr<io::Reactor>> reactors_;  // until the shards take them
  std::unique_ptr<io::Acceptor> acceptor_;              // on the first shard's reactor
  std::vector<std::unique_ptr<Shard>> shards_;
  Id128<wal::BootTag> boot_;
  ProcessStart process_start_;
};

// The kernel's id of this boot; zero when it cannot be read.
Id128<wal::BootTag> read_boot_id();

}  // namespace seawall::node
