#include "node/shard.h"

#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>

#include "engine/base/check.h"
#include "engine/base/fatal.h"

namespace seawall::node {
namespace {

// A reply may bring the next request at once; so many rounds are taken before the loop goes on.
constexpr int kRoundsMax = 4;
constexpr std::size_t kReadBytesMin = 32 * limits::MiB;  // the largest NBD request

Outcome refusal(Errc code, std::string sentence) { return {code, std::move(sentence)}; }

}  // namespace

// Built and destroyed in this order, so that nobody outlives what it borrows.
struct Shard::Parts {
  Parts(Shard& owner, const ShardOptions& options)
      : buffers(options.memory_bytes),
        transport(*owner.reactor_, buffers, owner, options.transport),
        worker(*owner.reactor_),
        replicas(owner.pool_, *owner.reactor_,
                 [](const std::string& sentence) { spdlog::error("event=replica {}", sentence); }),
        shard{owner.reactor_->clock(), transport, *owner.reactor_, worker, owner.control_,
              buffers, scratch},
        host(std::make_unique<runtime::NodeHost>(shard, replicas, options.host)),
        nbd(*owner.reactor_, buffers,
            {.read_bytes_max = std::max<std::size_t>(kReadBytesMin, options.memory_bytes / 4)}) {}

  runtime::BufferPool buffers;
  io::TcpTransport transport;
  io::Worker worker;
  io::PoolReplicas replicas;
  runtime::ShardScratch scratch;
  runtime::Shard shard;
  std::unique_ptr<runtime::NodeHost> host;
  nbd::Server nbd;
};

Shard::Shard(std::unique_ptr<io::Reactor> reactor, const io::Pool& pool,
             control::ControlPort& control, const ShardOptions& options)
    : options_(options), reactor_(std::move(reactor)), pool_(pool), control_(control) {
  parts_ = std::make_unique<Parts>(*this, options_);
}

Shard::~Shard() { CHECK_MSG(!thread_.joinable(), "join() comes first"); }

void Shard::launch() {
  thread_ = std::thread([this] { serve(); });
}

void Shard::join() {
  if (thread_.joinable()) thread_.join();
}

bool Shard::post(std::function<void(Shard&)> call) {
  return reactor_->post([this, call = std::move(call)] { call(*this); });
}

void Shard::serve() {
  parts_->host->start();
  resume();
  reactor_->run(*this);
  tear_down();
}

void Shard::request_stop() {
  while (!post([](Shard& self) { self.begin_stop(); })) std::this_thread::yield();
}

void Shard::begin_stop() {
  if (stopping_) return;
  stopping_ = true;
  stop_by_ = reactor_->now() + options_.stop_deadline;
  reactor_->wake_at(*this, stop_by_);
  std::vector<VolumeId> volumes;
  for (const auto& [volume, served] : served_) volumes.push_back(volume);
  for (const VolumeId volume : volumes) end_frontend(volume, false);
  parts_->host->stop(true);
}

void Shard::on_timer(Instant) {
  spdlog::critical("event=stop shard={} a replica did not close in time", options_.index);
  FATAL(FatalReason::disk_hung, "a replica did not close before the stop deadline");
}

void Shard::tear_down() {
  reactor_->cancel(*this);
  CHECK(served_.empty());
  const io::TransportCounters& links = parts_->transport.counters();
  spdlog::info("event=stopped shard={} accepted={} dialed={} garbage={} frames_in={} frames_out={}",
               options_.index, links.accepted, links.dialed, links.bad_header + links.bad_meta +
               links.bad_payload + links.not_admitted, links.frames_in, links.frames_out);
  parts_->host.reset();
  parts_->transport.close_all();
  struct Nothing final : io::TurnUser {
    void on_turn(Instant) override {}
  } nothing;
  if (!reactor_->drain(nothing, options_.stop_deadline)) {
    FATAL(FatalReason::disk_hung, "operations of the kernel did not end");
  }
  parts_.reset();
}

void Shard::on_turn(Instant) {
  runtime::NodeHost& host = *parts_->host;
  for (int round = 0; round < kRoundsMax; ++round) {
    for (auto& [volume, served] : served_) served.target->pump();
    reactor_->refresh();  // a lease is judged by the time of its own round
    host.turn(reactor_->now());
    bool again = false;  // answers that were delivered just now brought new requests
    for (auto& [volume, served] : served_) again = served.target->pump() || again;
    if (!again) break;
    if (round + 1 == kRoundsMax) reactor_->again();
  }
  end_detached();
  parts_->nbd.on_turn();
  parts_->transport.retry_parked();
  if (stopping_ && served_.empty() && host.stopped()) reactor_->stop();
}

void Shard::on_first_frame(LinkId link, const runtime::Frame& frame) {
  parts_->host->on_accepted(link, frame);
}

void Shard::take(io::AcceptedLink link) {
  if (stopping_) {
    ::close(link.fd);
    return;
  }
  parts_->transport.take(std::move(link));
}

void Shard::on_control(const control::ToNode& message) {
  parts_->host->on_control(message);
  const auto* view = std::get_if<control::AttachmentView>(&message);
  if (view == nullptr || !view->revoked) return;
  const auto found = served_.find(view->volume);
  if (found == served_.end() || found->second.request.view.attachment != view->attachment) return;
  spdlog::info("event=revoked vol={} attachment={}", view->volume_name, view->attachment.value());
  end_frontend(view->volume, true);
}

// --- front ends ---

Attached Shard::attach(const AttachRequest& request) {
  const control::AttachmentView& view = request.view;
  if (stopping_) return {refusal(Errc::unavailable, "this node is stopping"), {}};
  if (const auto found = served_.find(view.volume); found != served_.end()) {
    const Served& served = found->second;
    const bool same = !served.leaving && served.request.socket_path == request.socket_path &&
                      served.request.view.attachment == view.attachment;
    if (same) {
      if (Status bound = parts_->nbd.bind_again(served.address); !bound) {
        return {refusal(bound.error().code, "its socket file was removed, and cannot be made anew "
                                            "at " + request.socket_path + ": " +
                                                bound.error().what), {}};
      }
      return {Outcome{}, served.device};
    }
    return {refusal(Errc::already_exists,
                    "volume " + view.volume_name + " is attached here already, as " +
                        served.device), {}};
  }
  if (request.served_already) {
    return {refusal(Errc::not_found, "it is not served any more, attach it again"), {}};
  }
  std::unique_ptr<io::AttachmentFile> file;
  if (!options_.attachments.empty()) {
    auto made = io::AttachmentFile::create(
        options_.attachments, options_.host.boot,
        {view, request.socket_path, request.export_name});
    if (!made) {
      return {refusal(made.error().code, "the attachment cannot be remembered in " +
                                             options_.attachments + ": " + made.error().what +
                                             " " + std::to_string(made.error().a)), {}};
    }
    file = std::move(made).value();
  }
  return begin_serving(request, std::move(file));
}

void Shard::resume() {
  if (options_.attachments.empty()) return;
  for (const std::string& path : io::AttachmentFile::list(options_.attachments)) {
    auto file = io::AttachmentFile::open(path, options_.host.boot);
    if (!file) {
      spdlog::warn("event=not_resumed file={} reason=\"{}\"", path, file.error().what);
      continue;
    }
    const io::ServedExport before = (*file)->served();
    if (!options_.host.owns(before.view.volume)) continue;
    const std::size_t open = (*file)->open_requests().size();
    AttachRequest request;
    request.view = before.view;
    request.socket_path = before.socket_path;
    request.export_name = before.export_name;
    const Attached resumed = begin_serving(request, std::move(file).value());
    if (resumed.outcome.ok()) {
      spdlog::info("event=resumed vol={} attachment={} device={} unanswered={}",
                   before.view.volume_name, before.view.attachment.value(), resumed.device, open);
    } else {
      spdlog::error("event=not_resumed vol={} reason=\"{}\"", before.view.volume_name,
                    resumed.outcome.message);
    }
  }
}

Attached Shard::begin_serving(const AttachRequest& request,
                              std::unique_ptr<io::AttachmentFile> file) {
  const control::AttachmentView& view = request.view;
  const std::string name = request.export_name.empty() ? view.volume_name : request.export_name;
  const std::string fresh_path = file != nullptr && !file->continues() ? file->path() : "";
  Served served;
  served.file = file.get();
  served.request = request;
  served.address = "unix:" + request.socket_path;
  served.device = "nbd+unix:///" + name + "?socket=" + request.socket_path;
  served.target = std::make_unique<AttachmentTarget>(*reactor_, parts_->buffers, view.size);
  AttachmentTarget* target = served.target.get();
  if (Status added = parts_->nbd.add_export(served.address, name, *target); !added) {
    const bool taken = added.error().code == Errc::busy;
    const char* socket_taken = "another process, or another shard of this node, serves it";
    if (!fresh_path.empty()) ::unlink(fresh_path.c_str());
    return {refusal(added.error().code, "cannot serve NBD on " + request.socket_path + ": " +
                                            (taken ? socket_taken : added.error().what)), {}};
  }
  runtime::Attachment* attachment = parts_->host->attach(
      view, [target](std::uint64_t cookie, ClientStatus status, Slot slot) {
        target->on_done(cookie, status, slot);
      }, std::move(file));
  served.request.export_name = name;
  const std::string device = served.device;
  const auto [at, fresh] = served_.emplace(view.volume, std::move(served));
  CHECK(fresh);
  if (attachment == nullptr) {  // and its file is closed
    if (!fresh_path.empty()) ::unlink(fresh_path.c_str());
    at->second.file = nullptr;
    end_frontend(view.volume, false);
    return {refusal(Errc::refused,
                    "the attachment of " + view.volume_name +
                        " belongs to an earlier process of this node or has ended, or this node "
                        "has too many: detach it and attach it again"), {}};
  }
  at->second.target->bind(*attachment);
  spdlog::info("event=attached vol={} attachment={} device={}", view.volume_name,
               view.attachment.value(), device);
  return {Outcome{}, device};
}

void Shard::detach(VolumeId volume, AttachmentId attachment,
                   std::function<void(Outcome)> done) {
  const auto found = served_.find(volume);
  if (found == served_.end() || found->second.request.view.attachment != attachment) {
    return done(refusal(Errc::not_found, "no such attachment on this node"));
  }
  found->second.waiting.push_back(std::move(done));
  end_frontend(volume, true);
}

LossOutcome Shard::accept_loss(const LossAccepted& word) {
  runtime::VolumeHost* host = parts_->host->find_volume(word.volume);
  if (host == nullptr || host->core() == nullptr) {
    return {refusal(Errc::not_found, "no replica of that volume is open here")};
  }
  const std::optional<std::uint64_t> records = host->accept_loss();
  if (!records) return {refusal(Errc::not_primary, "the replica here is not the primary")};
  if (*records == 0) return {refusal(Errc::refused, "no record is missing, nothing is lost")};
  spdlog::warn("event=loss_accepted vol={} records={} who=\"{}\" why=\"{}\"",
               word.volume.to_hex().data(), *records, word.who, word.why);
  return {Outcome{}, *records};
}

// The primary says that the generation was detached, while no controller has told this node.
void Shard::end_detached() {
  std::vector<VolumeId> over;
  for (const auto& [volume, served] : served_) {
    const runtime::Attachment* attachment = parts_->host->find_attachment(volume);
    if (!served.leaving && attachment != nullptr && attachment->detached()) over.push_back(volume);
  }
  for (const VolumeId volume : over) end_frontend(volume, true);
}

// Connections end, what is open fails, and when the last answer is there the target goes.
void Shard::end_frontend(VolumeId volume, bool ended) {
  Served& served = served_.at(volume);
  if (served.leaving) return;
  served.leaving = true;
  if (ended && served.file != nullptr) served.file->forget();
  served.file = nullptr;
  parts_->nbd.remove_export(served.address, served.request.export_name, [this, volume] {
    const auto found = served_.find(volume);
    CHECK(found != served_.end());
    const std::vector<std::function<void(Outcome)>> waiting = std::move(found->second.waiting);
    spdlog::info("event=detached vol={}", found->second.request.view.volume_name);
    served_.erase(found);
    for (const auto& done : waiting) done(Outcome{});
  });
  parts_->host->detach(volume);
  served.target->unbind();
}

void Shard::report(NodeStatus& into) const {
  const std::vector<ReplicaStatus> replicas = parts_->host->statuses();
  into.replicas.insert(into.replicas.end(), replicas.begin(), replicas.end());
  into.ready = into.ready && parts_->host->ready();
  for (const auto& [volume, served] : served_) {
    FrontendStatus status;
    status.volume = volume;
    status.volume_name = served.request.view.volume_name;
    status.attachment = served.request.view.attachment;
    status.device = served.device;
    status.clients = parts_->nbd.connections(served.address, served.request.export_name);
    status.held = parts_->nbd.requests_open(served.address, served.request.export_name);
    if (const runtime::Attachment* attachment = parts_->host->find_attachment(volume)) {
      status.epoch = attachment->epoch();
      status.connected = attachment->connected();
      status.reason = attachment->reason();
    }
    into.frontends.push_back(std::move(status));
  }
}

}  // namespace seawall::node
