#include "sim/process.h"

#include <array>
#include <utility>

#include "engine/base/check.h"
#include "engine/base/limits.h"
#include "engine/engine.h"
#include "engine/invariants.h"
#include "engine/trace.h"

namespace seawall::sim {
namespace {

constexpr std::size_t arena_bytes = 48 << 20;
constexpr Micros heartbeat_every = 250 * ms;
constexpr std::uint64_t pool_bytes = 1ull << 40;
// A lane stops at 4 MiB and may be one batch further on; every lane of a link at once, and the
// requests of a client, are less than this.
constexpr std::size_t queue_kib_max = 16 * 1024;
constexpr std::size_t links_max = 4 * runtime::LinkTable::links_max;  // four volumes at most
constexpr std::size_t tasks_max = 8192;
constexpr Duration scrub_pace{2};
constexpr Duration scrub_first{4'000};
constexpr Duration scrub_rest{60'000};

runtime::NodeHostOptions host_options(NodeNumber node, std::uint64_t boot, ProcessStart start,
                                      const std::string& address, const RunOptions& run) {
  runtime::NodeHostOptions options;
  options.node = NodeId{node};
  options.name = "n" + std::to_string(node);
  options.pool_id = "pool" + std::to_string(node);
  options.data_address = address;
  options.core.generation = run.generation;
  options.keep_log_percent = run.keep_log_percent;
  options.process_start = start;
  options.boot.hi = node;
  options.boot.lo = boot;
  options.heartbeats = false;  // the edge makes them, as in production
  options.scrub = {scrub_pace, scrub_first, scrub_rest};
  return options;
}

}  // namespace

// The control edge: knows the stream's state, and drops what is said while there is none.
class Process::Edge final : public control::ControlPort {
 public:
  Edge(ControlNet& net, NodeNumber node) : net_(net), node_(node) {}
  void send(const control::FromNode& message) override { net_.from_node(node_, message); }

 private:
  ControlNet& net_;
  NodeNumber node_;
};

// The kernel's side of a front end: requests in, answers out, payload in slots of the shard's pool.
class Process::Device final : public BlockDevice {
 public:
  // What it says to the world, and whether it still can.
  struct Edge {
    Trace& trace;
    Scheduler& scheduler;
    NodeNumber node;
    Owner owner;
    void note(What what, OpNumber op) const {
      trace.boundary(TraceRecord{scheduler.now(), what, node, op});
    }
    [[nodiscard]] bool alive() const { return scheduler.alive(owner); }
  };
  Device(runtime::BufferPool& pool, const Edge& edge) : pool_(pool), edge_(edge) {}

  void set_attachment(runtime::Attachment* attachment) { attachment_ = attachment; }
  void set_changed(std::function<void()> changed) { changed_ = std::move(changed); }

  bool submit(const IoRequest& request, IoDone done) override {
    if (attachment_ == nullptr) return false;
    if (attachment_->ended()) {  // a device that fails everything, and may have ended while idle
      edge_.scheduler.after(0, edge_.owner, [status = end_of_attachment(), done = std::move(done)] {
        done(status, {});
      });
      return true;
    }
    runtime::ClientIo io;
    io.op = request.kind;
    io.lba = Lba{request.lba};
    io.blocks = BlockCount{request.blocks};
    io.fua = request.fua;
    io.cookie = request.op;
    if (request.kind == ClientOp::write) {
      io.slot = pool_.take(request.blocks * limits::block_bytes);
      if (io.slot == no_slot) return false;
      for (std::uint64_t i = 0; i < request.blocks; ++i) {
        fill_block(pool_.bytes(io.slot).subspan(i * limits::block_bytes, limits::block_bytes),
                   request.op, request.lba + i);
      }
    }
    if (!attachment_->submit(io)) {
      if (io.slot != no_slot) pool_.unref(io.slot);
      return false;
    }
    open_.emplace(request.op, std::move(done));
    changed_();
    edge_.note(What::device_asked, request.op);
    return true;
  }

  [[nodiscard]] std::size_t open() const { return open_.size(); }

  void answered(std::uint64_t cookie, ClientStatus status, Slot slot) {
    if (!edge_.alive()) return;
    const auto it = open_.find(cookie);
    CHECK(it != open_.end());
    const IoDone done = std::move(it->second);
    open_.erase(it);
    // An attachment that is over fails everything alike; what its client must know is why.
    if (status == ClientStatus::io_error && attachment_ != nullptr && attachment_->ended()) {
      status = end_of_attachment();
    }
    std::span<const std::byte> data;
    if (slot != no_slot) data = pool_.bytes(slot);
    done(status, data);
    edge_.note(What::device_answers, cookie);
    if (slot != no_slot) pool_.unref(slot);
  }

 private:
  [[nodiscard]] ClientStatus end_of_attachment() const {
    const bool lost =
        std::string_view(attachment_->reason()).find("lacks") != std::string_view::npos;
    return lost ? ClientStatus::position_lost : ClientStatus::detached;
  }

  runtime::BufferPool& pool_;
  const Edge edge_;
  runtime::Attachment* attachment_ = nullptr;
  std::function<void()> changed_;
  std::map<OpNumber, IoDone> open_;
};

// Checks the invariants of a Core after every step, and writes its steps down when details are
// wanted.
class Process::Watcher final : public runtime::StepWatcher {
 public:
  Watcher(const World& world_of_run, NodeNumber node, Owner owner)
      : world_(world_of_run), node_(node), owner_(owner) {}

  void before_step(const Core& core, const Event& event) override {
    opening_ = std::holds_alternative<event::Opened>(event);
    if (std::holds_alternative<event::BlocksRotten>(event)) SOMETIMES(world_.probes, rot_found);
    const auto* repaired = std::get_if<event::BlocksRepaired>(&event);
    if (repaired != nullptr && repaired->any) SOMETIMES(world_.probes, rot_repaired);
    before_ = snapshot(core);
    if (!world_.trace.details()) return;
    TraceWriter text(buffer_);
    text << "r" << core.facts().replica << " <- ";
    render(text, event);
    note(text);
  }

  void after_step(const Core& core, const Event&, const Commands& commands) override {
    if (!world_.scheduler.alive(owner_)) return;
    if (world_.trace.details()) {
      for (const Command& command : commands) {
        TraceWriter text(buffer_);
        text << "r" << core.facts().replica << "    -> ";
        render(text, command);
        note(text);
      }
    }
    for (const Command& command : commands) {
      count(command);
      if (world_.options.watch) world_.options.watch(node_, core, command);
    }
    if (!world_.options.is_v2()) return;  // older generations are judged by what clients see
    for (const Command& command : commands) {
      const auto* append = std::get_if<command::AppendLog>(&command);
      if (append != nullptr) note_record(core, append->header);
    }
    const char* broken = check_state(core);
    if (broken == nullptr && !opening_) broken = check_delta(before_, snapshot(core));
    if (broken == nullptr) broken = check_commands(core, commands);
    if (broken != nullptr) {
      world_.verdict.fail(Failure::safety, "n" + std::to_string(node_) + " replica " +
                                               std::to_string(core.facts().replica.value()) +
                                               " breaks an invariant: " + broken);
    }
  }

 private:
  void count(const Command& command) {
    Recoveries& recoveries = world_.recoveries;
    Probes& probes = world_.probes;
    if (std::holds_alternative<command::RewindLog>(command)) {
      ++recoveries.rewinds;
      SOMETIMES(probes, rewind);
    } else if (std::holds_alternative<command::StreamLog>(command)) {
      ++recoveries.catch_ups;
      SOMETIMES(probes, catch_up);
    } else if (const auto* prepare = std::get_if<command::PrepareRebuild>(&command)) {
      ++recoveries.rebuilds;
      SOMETIMES(probes, rebuild);
      if (prepare->floor.has_value()) SOMETIMES(probes, floor_stored);
    } else if (const auto* send = std::get_if<command::Send>(&command)) {
      const auto* ask = std::get_if<message::AskBaseMap>(&send->message);
      if (ask != nullptr && ask->from == Lba{0} && ask->since) ++recoveries.deltas;
    } else if (std::holds_alternative<command::DistrustBase>(command)) {
      SOMETIMES(probes, map_rotten);
    } else if (std::holds_alternative<command::FreezeBase>(command)) {
      SOMETIMES(probes, frozen_base);
    } else if (std::holds_alternative<command::RefuseFence>(command)) {
      SOMETIMES(probes, fence_refused);
    } else if (std::holds_alternative<command::RefuseAssignment>(command)) {
      SOMETIMES(probes, assignment_refused);
    } else if (std::holds_alternative<command::Propose>(command)) {
      SOMETIMES(probes, configuration_proposed);
    } else if (std::holds_alternative<command::RequestFailover>(command)) {
      SOMETIMES(probes, failover_asked);
    } else if (const auto* super = std::get_if<command::WriteSuper>(&command)) {
      if (super->clear_floor) SOMETIMES(probes, floor_cleared);
      if (super->intact == true) SOMETIMES(probes, intact_restored);
    }
  }
  // The chain before it is in the log's memory, or is that of the end that the log began with.
  void note_record(const Core& core, const RecordHeader& header) {
    const Context& context = core.engine().context();
    const Lsn before = header.lsn.prev();
    if (const RecentRecord* record = context.log.recent(before)) {
      world_.at_most_once.appended(context.options.volume, header, record->chain);
    } else if (context.facts.marks.written == before) {
      world_.at_most_once.appended(context.options.volume, header, context.facts.chain);
    }
  }
  void note(const TraceWriter& text) {
    world_.trace.note(world_.scheduler.now(), node_, std::string(text.text()));
  }

  World world_;
  NodeNumber node_;
  Owner owner_;
  CoreSnapshot before_;
  bool opening_ = false;  // before it a Core knows nothing
  std::array<char, 1024> buffer_{};
};

Process::Process(const World& world_of_run, NodeNumber node, const ClockOf& clock,
                 std::uint64_t boot, ReplicaDisks& disks, bool offers_storage, Prng prng)
    : world_(world_of_run),
      node_(node),
      boot_(boot),
      offers_storage_(offers_storage),
      prng_(prng),
      owner_(world_.scheduler.new_owner()),
      process_start_(prng_.next() | 1),
      pool_(arena_bytes),
      clock_(world_.scheduler, clock.offset, clock.drift_ppm),
      transport_(world_.network, node, owner_, pool_),
      timers_(world_.scheduler, clock_, owner_, world_.options.timer_lateness_max, prng_.fork()),
      blocking_(world_.scheduler, world_.trace, node, owner_, world_.options.blocking_max,
                prng_.fork()),
      edge_(std::make_unique<Edge>(world_.control_net, node)),
      watcher_(std::make_unique<Watcher>(world_, node, owner_)),
      scratch_(std::make_unique<runtime::ShardScratch>()),
      shard_(std::make_unique<runtime::Shard>(runtime::Shard{
          clock_, transport_, timers_, blocking_, *edge_, pool_, *scratch_, watcher_.get()})),
      host_(std::make_unique<runtime::NodeHost>(*shard_, disks,
                                                host_options(node, boot, process_start_,
                                                             world_.network.address(node),
                                                             world_.options))),
      disks_(disks) {
  disks_.plug(owner_);
}

Process::~Process() = default;

void Process::start() {
  world_.trace.add(TraceRecord{world_.scheduler.now(), What::start, node_, owner_.value()});
  transport_.listen(
      [this](LinkId link, const runtime::Frame& first) { host_->on_accepted(link, first); });
  world_.scheduler.after(0, owner_, [this] { host_->start(); });
  ControlNet::NodeSide side;
  side.owner = owner_;
  side.connected = [this] { send_register(); };
  side.receive = [this](const control::ToNode& message) { receive(message); };
  side.lost = [] {};
  world_.control_net.node_up(node_, std::move(side));
  world_.scheduler.after(prng_.below(heartbeat_every), owner_, [this] { heartbeat(); });
}

void Process::die(bool power_lost) {
  world_.control_net.node_down(node_);
  transport_.die(power_lost);
  world_.scheduler.kill(owner_);
}

// --- the loop ---

void Process::after_task() {
  if (in_turn_) {
    in_turn_ = false;
    return;
  }
  if (turn_due_) return;
  turn_due_ = true;
  // Several callbacks share a turn, as they do in a real loop.
  world_.scheduler.after(prng_.below(20), owner_, [this] { turn(); });
}

void Process::turn() {
  turn_due_ = false;
  in_turn_ = true;
  host_->turn(clock_.now());
}

// --- control ---

void Process::send_register() {
  control::Register hello;
  hello.node = NodeId{node_};
  hello.name = "n" + std::to_string(node_);
  hello.pool_id = "pool" + std::to_string(node_);
  hello.data_address = world_.network.address(node_);
  hello.boot_hi = node_;
  hello.boot_lo = boot_;
  hello.process_start = process_start_;
  hello.pool_bytes = offers_storage_ ? pool_bytes : 0;
  hello.pool_free_bytes = hello.pool_bytes;
  hello.replicas = host_->statuses();
  edge_->send(hello);
}

void Process::heartbeat() {
  control::Heartbeat beat;
  beat.node = NodeId{node_};
  beat.sequence = ++heartbeats_;
  beat.pool_free_bytes = offers_storage_ ? pool_bytes : 0;
  beat.replicas = host_->statuses();
  edge_->send(beat);
  world_.scheduler.after(heartbeat_every, owner_, [this] { heartbeat(); });
}

void Process::receive(const control::ToNode& message) { host_->on_control(message); }

// --- the front end ---

BlockDevice* Process::attach(const control::AttachmentView& view) {
  std::unique_ptr<Device>& place = devices_[view.volume];
  if (host_->find_attachment(view.volume) != nullptr) {
    if (place != nullptr) {
      place->set_attachment(nullptr);
      retired_.push_back(std::move(place));  // its last answers come in the next turn
    }
    host_->detach(view.volume);
  }
  auto device = std::make_unique<Device>(
      pool_, Device::Edge{world_.trace, world_.scheduler, node_, owner_});
  Device* raw = device.get();
  runtime::Attachment* attachment =
      host_->attach(view, [raw](std::uint64_t cookie, ClientStatus status, Slot slot) {
        raw->answered(cookie, status, slot);
      });
  if (attachment == nullptr) return nullptr;  // the old one is not gone yet
  device->set_attachment(attachment);
  device->set_changed([this] { after_task(); });
  place = std::move(device);
  after_task();
  return place.get();
}

// --- looking ---

void Process::see_bounds(Bounded& bounded) const {
  if (world_.scheduler.paused(owner_)) return;  // its kernel piles up what it will see at once
  const std::size_t pool = arena_bytes - pool_.free_bytes();
  bounded.see(Resource::pool_kib, pool / limits::KiB, arena_bytes / limits::KiB, node_);
  bounded.see(Resource::queue_kib, transport_.greatest_queue() / limits::KiB, queue_kib_max, node_);
  bounded.see(Resource::links, transport_.links(), links_max, node_);
  bounded.see(Resource::tasks, world_.scheduler.tasks_of(owner_), tasks_max, node_);
  for (const auto& [volume, device] : devices_) {
    if (device == nullptr) continue;
    bounded.see(Resource::requests, device->open(), runtime::Attachment::open_max, node_);
  }
}

bool Process::has_given_up() const {
  bool given_up = false;
  host_->for_each_replica([&given_up](runtime::VolumeHost& host) {
    given_up = given_up || host.reopening().spent();
  });
  return given_up;
}

std::string Process::describe() const {
  std::string text;
  for (const ReplicaStatus& s : host_->statuses()) {
    const auto mark = [](const std::optional<Lsn>& lsn) {
      return lsn.has_value() ? std::to_string(lsn->value()) : std::string("-");
    };
    text +=
        " [n" + std::to_string(node_) + " replica " + std::to_string(s.replica.value()) +
        " epoch " + std::to_string(s.epoch.value()) + " promised " +
        std::to_string(s.promised.value()) + " role " + std::to_string(static_cast<int>(s.role)) +
        (s.serving ? " serving" : "") + " written " + std::to_string(s.marks.written.value()) +
        " durable " + std::to_string(s.marks.durable.value()) + " applied " +
        std::to_string(s.marks.applied.value()) + " committed " + mark(s.committed) + " stable " +
        mark(s.stable) + (s.log_failed ? " LOG FAILED" : "") + " '" + s.reason + "'";
    for (const PeerStatus& p : s.peers) {
      text += " peer " + std::to_string(p.replica.value()) + " state " +
              std::to_string(static_cast<int>(p.state)) + " '" + p.reason + "'";
    }
    text += "]";
  }
  return text;
}

}  // namespace seawall::sim
