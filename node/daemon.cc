#include "node/daemon.h"

#include <fcntl.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <fstream>
#include <thread>

#include "engine/base/check.h"

namespace seawall::node {
namespace {

FatalReason reason_of(Errc code) {
  switch (code) {
    case Errc::busy: return FatalReason::pool_in_use;
    case Errc::refused:
    case Errc::unknown_version: return FatalReason::pool_foreign;
    case Errc::corrupt: return FatalReason::pool_corrupt;
    default: return FatalReason::bad_configuration;
  }
}

VolumeId volume_of(const control::ToNode& message) {
  struct Visitor {
    VolumeId operator()(const control::CreateReplica& m) const { return m.volume; }
    VolumeId operator()(const control::DeleteReplica& m) const { return m.volume; }
    VolumeId operator()(const control::Assign& m) const { return m.assignment.volume; }
    VolumeId operator()(const control::Fence& m) const { return m.request.volume; }
    VolumeId operator()(const control::Refuse& m) const { return m.refusal.volume; }
    VolumeId operator()(const control::Probe& m) const { return m.volume; }
    VolumeId operator()(const control::AttachmentView& m) const { return m.volume; }
  };
  return std::visit(Visitor{}, message);
}

}  // namespace

Id128<wal::BootTag> read_boot_id() {
  std::ifstream file("/proc/sys/kernel/random/boot_id");
  std::string text;
  std::getline(file, text);
  text.erase(std::remove(text.begin(), text.end(), '-'), text.end());
  Id128<wal::BootTag> boot;
  if (!Id128<wal::BootTag>::parse(text.data(), text.size(), boot)) return {};
  return boot;
}

std::variant<std::unique_ptr<Daemon>, Refused> Daemon::create(const NodeConfig& config) {
  std::unique_ptr<Daemon> daemon(new Daemon(config));
  daemon->boot_ = read_boot_id();
  if (daemon->boot_.is_zero()) {
    return Refused{FatalReason::kernel_refused, "the kernel's boot id cannot be read"};
  }
  daemon->process_start_ = ProcessStart{io::random_bits()};
  for (unsigned i = 0; i < config.shards; ++i) {
    auto reactor = io::Reactor::create(daemon->clock_);
    if (!reactor) {
      return Refused{FatalReason::kernel_refused,
                     std::string(reactor.error().what) + " " + std::to_string(reactor.error().a)};
    }
    daemon->reactors_.push_back(std::move(reactor).value());
  }
  const auto address = io::parse_address(config.data_address);
  CHECK_MSG(address.has_value(), "the command line was checked");
  auto acceptor = io::Acceptor::create(
      *daemon->reactors_[0], *address, Duration{limits::handshake_deadline_ms},
      [raw = daemon.get()](VolumeId volume, io::AcceptedLink link) {
        raw->route(volume, std::move(link));
      });
  if (!acceptor) {
    const bool used = acceptor.error().code == Errc::busy;
    return Refused{used ? FatalReason::address_in_use : FatalReason::bad_configuration,
                   "cannot listen on " + config.data_address + ": " +
                       (used ? "the address is in use" : acceptor.error().what)};
  }
  daemon->acceptor_ = std::move(acceptor).value();
  auto pool = io::Pool::open({.path = config.pool, .node_name = config.name});
  if (!pool) {
    return Refused{reason_of(pool.error().code), io::pool_sentence(config.pool, pool.error())};
  }
  daemon->pool_ = std::move(pool).value();
  return daemon;
}

Daemon::Daemon(const NodeConfig& config) : config_(config) {}

Daemon::~Daemon() {
  CHECK_MSG(shards_.empty(), "stop() comes first");
  acceptor_.reset();  // never started: nothing is in flight
}

std::size_t Daemon::shard_index(VolumeId volume) const {
  const std::uint64_t mixed = (volume.hi ^ volume.lo) * 0x9e3779b97f4a7c15ULL;
  return static_cast<std::size_t>((mixed >> 32) % config_.shards);
}

ShardOptions Daemon::shard_options(unsigned index) const {
  ShardOptions options;
  options.index = index;
  options.memory_bytes = std::max<std::size_t>(config_.memory_mib / config_.shards, 64) *
                         limits::MiB;
  options.host.node = pool_->node();
  options.host.name = config_.name;
  options.host.pool_id = pool_->pool_id();
  options.host.data_address = data_address();
  options.host.process_start = process_start_;
  options.host.boot = boot_;
  options.host.heartbeats = false;  // the control edge makes them
  options.host.owns = [this, index](VolumeId volume) { return shard_index(volume) == index; };
  options.attachments = config_.attachments;
  options.transport.source = acceptor_->address();
  options.transport.shard = index;
  return options;
}

void Daemon::start(control::ControlPort& control) {
  CHECK(shards_.empty());
  for (unsigned i = 0; i < config_.shards; ++i) {
    shards_.push_back(std::make_unique<Shard>(std::move(reactors_[i]), *pool_, control,
                                              shard_options(i)));
  }
  reactors_.clear();
  acceptor_->start();
  for (const auto& shard : shards_) shard->launch();
}

void Daemon::stop() {
  if (shards_.empty()) return;
  // The acceptor belongs to the first shard's thread.
  while (!shards_[0]->post([this](Shard&) { acceptor_.reset(); })) std::this_thread::yield();
  for (const auto& shard : shards_) shard->request_stop();
  for (const auto& shard : shards_) shard->join();
  shards_.clear();
}

void Daemon::route(VolumeId volume, io::AcceptedLink link) {
  const std::size_t index = shard_index(volume);
  if (index == 0) return shards_[0]->take(std::move(link));
  const int fd = link.fd;
  if (!shards_[index]->post([link = std::move(link)](Shard& shard) { shard.take(link); })) {
    ::close(fd);
  }
}

Status Daemon::post(const control::ToNode& message) {
  const bool taken = shard_of(volume_of(message)).post([message](Shard& shard) {
    shard.on_control(message);
  });
  if (!taken) return make_error(Errc::busy, "the mailbox of a shard is full");
  return ok();
}

void Daemon::attach(AttachRequest request, std::function<void(Attached)> done) {
  Shard& shard = shard_of(request.view.volume);
  auto shared = std::make_shared<std::function<void(Attached)>>(std::move(done));
  if (!shard.post([request = std::move(request), shared](Shard& self) {
        (*shared)(self.attach(request));
      })) {
    (*shared)(Attached{{Errc::busy, "this node is overloaded; try again"}, {}});
  }
}

void Daemon::detach(VolumeId volume, AttachmentId attachment, std::function<void(Outcome)> done) {
  auto shared = std::make_shared<std::function<void(Outcome)>>(std::move(done));
  if (!shard_of(volume).post([volume, attachment, shared](Shard& self) {
        self.detach(volume, attachment, *shared);
      })) {
    (*shared)({Errc::busy, "this node is overloaded; try again"});
  }
}

void Daemon::accept_loss(LossAccepted word, std::function<void(LossOutcome)> done) {
  auto shared = std::make_shared<std::function<void(LossOutcome)>>(std::move(done));
  Shard& shard = shard_of(word.volume);
  if (!shard.post([word = std::move(word), shared](Shard& self) {
        (*shared)(self.accept_loss(word));
      })) {
    (*shared)({{Errc::busy, "this node is overloaded; try again"}});
  }
}

void Daemon::status(std::function<void(NodeStatus)> done) {
  // The shards add to one status in turn; the last one answers.
  auto sum = std::make_shared<NodeStatus>();
  sum->node = pool_->node();
  sum->name = config_.name;
  sum->pool_id = pool_->pool_id();
  sum->data_address = config_.data_address;
  sum->boot_hi = boot_.hi;
  sum->boot_lo = boot_.lo;
  sum->process_start = process_start_;
  const io::PoolSpace space = pool_->space();
  sum->pool_bytes = space.bytes;
  sum->pool_free_bytes = space.free_bytes;
  sum->shards = config_.shards;
  sum->ready = true;
  struct Round {
    Daemon* daemon;
    std::shared_ptr<NodeStatus> sum;
    std::function<void(NodeStatus)> done;
    void step(std::shared_ptr<Round> self, std::size_t index) {
      if (index == daemon->shards_.size()) {
        std::sort(sum->replicas.begin(), sum->replicas.end(), [](const auto& a, const auto& b) {
          return std::pair(a.volume, a.replica) < std::pair(b.volume, b.replica);
        });
        return done(std::move(*sum));
      }
      const bool posted = daemon->shards_[index]->post([self, index](Shard& shard) {
        shard.report(*self->sum);
        self->step(self, index + 1);
      });
      if (posted) return;
      sum->ready = false;
      step(self, index + 1);
    }
  };
  auto round = std::make_shared<Round>(Round{this, sum, std::move(done)});
  round->step(round, 0);
}

}  // namespace seawall::node
