// An NBD server over memory, on its own thread: what the front end's tests serve to clients.
//
// Life cycle: construct (serves), destroy (ends everything and checks that nothing is left).
// Thread: calls of the test post to the server's loop and wait. The target answers in a later pass,
// and can be told to hold, to fail or to run out of space.
#pragma once

#include <algorithm>
#include <cstring>
#include <deque>
#include <future>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "node/frontends/nbd_server.h"
#include "tests/support/io_loop.h"
#include "wal/crc32c.h"

namespace seawall::testing {

// Blocks in memory. Every write's CRCs are compared, every completion comes in a later pass.
class MemoryTarget final : public frontends::BlockTarget {
 public:
  MemoryTarget(io::Reactor& reactor, runtime::BufferPool& pool, std::uint64_t bytes,
               std::uint64_t piece_blocks)
      : reactor_(reactor), pool_(pool), bytes_(bytes), piece_blocks_(piece_blocks) {
    op_ = io::RingOp{&MemoryTarget::on_pass, this};
  }

  BlockCount size() const override { return BlockCount{bytes_.size() / 4096}; }
  BlockCount piece_max() const override { return BlockCount{piece_blocks_}; }
  void submit(frontends::BlockRequest& request) override {
    most_at_once = std::max<std::size_t>(most_at_once, queue_.size() + 1);
    ++operations;
    queue_.push_back(&request);
    wake();
  }
  void set_holding(bool holding) {
    holding_ = holding;
    if (!holding) wake();
  }

  std::size_t operations = 0, most_at_once = 0, flushes = 0, discards = 0, zeroes = 0, fua = 0,
              bad_crcs = 0, too_long = 0;
  ClientStatus answer = ClientStatus::ok;

 private:
  void wake() {
    if (woken_ || holding_ || queue_.empty()) return;
    woken_ = true;
    reactor_.defer(op_, 0);
  }
  static void on_pass(io::RingOp& op, std::int32_t, std::uint32_t) {
    auto& self = *static_cast<MemoryTarget*>(op.owner);
    self.woken_ = false;
    std::deque<frontends::BlockRequest*> now;
    if (!self.holding_) now.swap(self.queue_);
    for (frontends::BlockRequest* request : now) self.carry_out(*request);
    self.wake();
  }
  void carry_out(frontends::BlockRequest& request) {
    request.result = answer;
    if (request.fua) ++fua;
    if (answer == ClientStatus::ok) apply(request);
    request.done(request);
  }
  void apply(frontends::BlockRequest& request) {
    std::byte* at = bytes_.data() + request.lba.value() * 4096;
    const std::size_t length = request.blocks.value() * 4096;
    const bool data = request.op == ClientOp::read || request.op == ClientOp::write;
    if (data && request.blocks.value() > piece_blocks_) ++too_long;
    switch (request.op) {
      case ClientOp::read:
        request.slot = pool_.take(length);
        if (request.slot == no_slot) {
          request.result = ClientStatus::io_error;
        } else {
          std::memcpy(pool_.bytes(request.slot).data(), at, length);
        }
        break;
      case ClientOp::write: {
        const auto payload = pool_.bytes(request.slot);
        if (payload.size() != length) ++bad_crcs;
        for (std::size_t i = 0; i < length / 4096; ++i) {
          const std::uint32_t crc = wal::crc32c(payload.subspan(i * 4096, 4096));
          if (crc != pool_.crcs(request.slot)[i]) ++bad_crcs;
        }
        std::memcpy(at, payload.data(), length);
        break;
      }
      case ClientOp::flush: ++flushes; break;
      case ClientOp::discard:
        ++discards;
        std::memset(at, 0, length);
        break;
      case ClientOp::write_zeroes:
        ++zeroes;
        std::memset(at, 0, length);
        break;
    }
  }

  io::Reactor& reactor_;
  runtime::BufferPool& pool_;
  std::vector<std::byte> bytes_;
  const std::uint64_t piece_blocks_;
  std::deque<frontends::BlockRequest*> queue_;
  bool holding_ = false, woken_ = false;
  io::RingOp op_;
};

struct NbdServerOptions {
  std::size_t pool_bytes = 64 << 20;
  std::uint64_t piece_blocks = 256;
  std::uint64_t export_bytes = 64 << 20;
  Duration option_deadline{30'000};
};

class NbdMemoryServer {
 public:
  explicit NbdMemoryServer(const NbdServerOptions& options = {})
      : pool(options.pool_bytes), reactor_(std::move(io::Reactor::create(clock_)).value()),
        address_("unix:" + (scratch_ / "nbd")) {
    nbd::ServerOptions server_options;
    server_options.option_deadline = options.option_deadline;
    server_options.read_bytes_max = 32 << 20;
    server = std::make_unique<nbd::Server>(*reactor_, pool, server_options);
    for (const char* name : {"first", "second"}) {
      targets_.push_back(std::make_unique<MemoryTarget>(*reactor_, pool, options.export_bytes,
                                                        options.piece_blocks));
      const Status added = server->add_export(address_, name, *targets_.back());
      CHECK_MSG(added.has_value(), "the socket is ours");
    }
    turn_.server = server.get();
    thread_ = std::thread([this] {
      reactor_->run(turn_);
      CHECK_MSG(reactor_->drain(turn_, Duration{5'000}), "the kernel gives everything back");
    });
  }
  ~NbdMemoryServer() {
    for (auto& target : targets_) on_loop([&] { target->set_holding(false); });
    for (const char* name : {"first", "second"}) remove(name);
    reactor_->stop();
    thread_.join();
    server.reset();
    CHECK_MSG(pool.in_use() == 0, "slots were leaked");
  }

  // Runs on the server's thread and waits for it.
  template <class F>
  void on_loop(F call) {
    std::promise<void> done;
    CHECK(reactor_->post([&] {
      call();
      done.set_value();
    }));
    done.get_future().wait();
  }
  void remove(const std::string& name) {
    if (removed_.contains(name)) return;
    removed_.insert(name);
    std::promise<void> gone;
    on_loop([&] { server->remove_export(address_, name, [&] { gone.set_value(); }); });
    gone.get_future().wait();
  }
  // The test has removed it itself.
  void forget(const std::string& name) { removed_.insert(name); }
  std::size_t slots_in_use() {
    std::size_t count = 0;
    on_loop([&] { count = pool.in_use(); });
    return count;
  }
  MemoryTarget& target(std::size_t index = 0) { return *targets_[index]; }
  std::string socket() const { return scratch_ / "nbd"; }
  std::string uri(const std::string& name = "first") const {
    return "nbd+unix:///" + name + "?socket=" + socket();
  }
  const ScratchDirectory& scratch() const { return scratch_; }

  runtime::BufferPool pool;
  std::unique_ptr<nbd::Server> server;

 private:
  struct Turn final : io::TurnUser {
    void on_turn(Instant) override { server->on_turn(); }
    nbd::Server* server = nullptr;
  };
  io::SteadyClock clock_;
  ScratchDirectory scratch_;
  std::unique_ptr<io::Reactor> reactor_;
  const std::string address_;
  std::vector<std::unique_ptr<MemoryTarget>> targets_;
  std::set<std::string> removed_;
  Turn turn_;
  std::thread thread_;
};

}  // namespace seawall::testing
