#include "node/io/reactor.h"

#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "engine/base/check.h"
#include "engine/base/fatal.h"

namespace seawall::io {
namespace {

constexpr Duration kForever = Duration::max();

}  // namespace

Reactor::Reactor(const runtime::Clock& clock, const ReactorOptions& options)
    : clock_(clock), options_(options) {
  refresh();
  deferred_.reserve(options.entries);
  batch_.reserve(std::size_t{options.entries} * 8);
  flushes_.reserve(64);
  flushing_.reserve(64);
  mailbox_.reserve(64);
  messages_.reserve(64);
}

Result<std::unique_ptr<Reactor>> Reactor::create(const runtime::Clock& clock,
                                                 const ReactorOptions& options) {
  std::unique_ptr<Reactor> reactor(new Reactor(clock, options));
  TRY(reactor->open_ring());
  reactor->event_fd_ = eventfd(0, EFD_CLOEXEC);
  if (reactor->event_fd_ < 0) {
    return make_error(Errc::exhausted, "eventfd failed", static_cast<std::uint64_t>(errno));
  }
  reactor->mailbox_op_.done = &Reactor::on_mailbox;
  reactor->mailbox_op_.owner = reactor.get();
  return reactor;
}

Status Reactor::open_ring() {
  // Best first: one issuer, completions run when we ask. Older kernels get the plain ring.
  const unsigned common = IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP;
  const unsigned choices[] = {
      IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_R_DISABLED,
      IORING_SETUP_COOP_TASKRUN | IORING_SETUP_R_DISABLED, IORING_SETUP_R_DISABLED};
  int result = -EINVAL;
  for (const unsigned flags : choices) {
    io_uring_params params{};
    params.flags = common | flags;
    params.cq_entries = options_.entries * 8;
    result = io_uring_queue_init_params(options_.entries, &ring_, &params);
    if (result == 0) {
      ring_open_ = true;
      return ok();
    }
    if (result != -EINVAL) break;
  }
  return make_error(Errc::not_supported, "the kernel refused an io_uring (errno)",
                    static_cast<std::uint64_t>(-result));
}

Reactor::~Reactor() {
  if (ring_open_) io_uring_queue_exit(&ring_);
  if (event_fd_ >= 0) ::close(event_fd_);
}

void Reactor::enable() {
  // The library of Debian 12 declares io_uring_enable_rings() but does not export it.
  const int ring = ring_.ring_fd;
  if (::syscall(SYS_io_uring_register, ring, IORING_REGISTER_ENABLE_RINGS, nullptr, 0) < 0) {
    FATAL(FatalReason::kernel_refused, "io_uring_register(ENABLE_RINGS) failed");
  }
  ring_.flags &= ~static_cast<unsigned>(IORING_SETUP_R_DISABLED);
  // Saves a look-up of the descriptor in each call; a kernel that cannot do it loses only that.
  (void)io_uring_register_ring_fd(&ring_);
  enabled_ = true;
  arm_mailbox();
}

void Reactor::arm_mailbox() {
  io_uring_sqe* sqe = entry();
  io_uring_prep_read(sqe, event_fd_, &mailbox_count_, sizeof mailbox_count_, 0);
  io_uring_sqe_set_data(sqe, &mailbox_op_);
  mailbox_armed_ = true;
}

void Reactor::on_mailbox(RingOp& op, std::int32_t result, std::uint32_t) {
  auto& self = *static_cast<Reactor*>(op.owner);
  self.mailbox_armed_ = false;
  CHECK_MSG(result == 8 || result == -EINTR || result == -EAGAIN || result == -ECANCELED,
            "the eventfd of a reactor is read");
  self.signalled_.store(false, std::memory_order_release);
  {
    const std::lock_guard lock(self.mailbox_mutex_);
    self.messages_.swap(self.mailbox_);
  }
  for (auto& message : self.messages_) message();
  self.stats_.messages += self.messages_.size();
  self.messages_.clear();
  if (result != -ECANCELED) self.arm_mailbox();
}

bool Reactor::post(std::function<void()> message) {
  {
    const std::lock_guard lock(mailbox_mutex_);
    if (mailbox_.size() >= options_.mailbox_max) return false;
    mailbox_.push_back(std::move(message));
  }
  signal();
  return true;
}

void Reactor::stop() {
  stop_.store(true, std::memory_order_release);
  signal();
}

void Reactor::signal() {
  if (signalled_.exchange(true, std::memory_order_acq_rel)) return;
  const std::uint64_t one = 1;
  ssize_t written = 0;
  do {
    written = ::write(event_fd_, &one, sizeof one);
  } while (written < 0 && errno == EINTR);
  CHECK_MSG(written == sizeof one, "an eventfd takes a one");
}

io_uring_sqe* Reactor::entry() {
  io_uring_sqe* sqe = io_uring_get_sqe(&ring_);
  if (sqe != nullptr) return sqe;
  // The ring is full: hand over what is there. Nothing is collected here, so no callback runs.
  CHECK_MSG(enabled_, "more operations than entries before the loop started");
  const int result = io_uring_submit(&ring_);
  if (result < 0 && result != -EBUSY && result != -EAGAIN && result != -EINTR) {
    FATAL(FatalReason::kernel_refused, "io_uring_submit failed");
  }
  sqe = io_uring_get_sqe(&ring_);
  if (sqe == nullptr) FATAL(FatalReason::kernel_refused, "the io_uring takes no more entries");
  return sqe;
}

void Reactor::submit(io_uring_sqe* sqe, RingOp& op) {
  CHECK(op.done != nullptr);
  io_uring_sqe_set_data(sqe, &op);
  ++in_flight_;
  ++stats_.submitted;
}

void Reactor::defer(RingOp& op, std::int32_t result) {
  CHECK(op.done != nullptr);
  deferred_.push_back(Completion{&op, result, 0});
  ++in_flight_;
}

void Reactor::flush_later(Flushable& user) {
  if (user.flush_queued_) return;
  user.flush_queued_ = true;
  flushes_.push_back(&user);
}

void Reactor::forget_flush(Flushable& user) {
  if (!user.flush_queued_) return;
  user.flush_queued_ = false;
  std::replace(flushes_.begin(), flushes_.end(), &user, static_cast<Flushable*>(nullptr));
  std::replace(flushing_.begin(), flushing_.end(), &user, static_cast<Flushable*>(nullptr));
}

void Reactor::wake_at(runtime::TimerUser& user, Instant at) { timers_.set(user, at); }

void Reactor::cancel(runtime::TimerUser& user) { timers_.forget(user); }

void Reactor::run(TurnUser& user) {
  while (!stopping()) pass(user, kForever);
}

void Reactor::pass(TurnUser& user, Duration wait_max) {
  if (!enabled_) enable();
  ++stats_.passes;
  enter(wait_max);
  collect();
  dispatch();
  fire_timers();
  refresh();
  user.on_turn(now());
  flush();
}

void Reactor::refresh() { loop_clock_.now_ = std::max(loop_clock_.now_, clock_.now()); }

bool Reactor::drain(TurnUser& user, Duration limit) {
  const Instant until = clock_.now() + limit;
  while (in_flight_ > 0 && clock_.now() < until) pass(user, Duration{10});
  return in_flight_ == 0;
}

void Reactor::enter(Duration wait_max) {
  Duration wait = deferred_.empty() && flushes_.empty() ? wait_max : Duration::zero();
  if (const auto next = timers_.earliest(); next && !wait.is_zero()) {
    const Instant now = clock_.now();
    wait = std::min(wait, *next > now ? *next - now : Duration::zero());
  }
  const bool again = std::exchange(again_, false);
  if (again || io_uring_cq_ready(&ring_) > 0 || stopping()) wait = Duration::zero();
  int result = 0;
  if (wait.is_zero()) {
    result = io_uring_submit_and_get_events(&ring_);
  } else if (wait == kForever) {
    ++stats_.sleeps;
    result = io_uring_submit_and_wait(&ring_, 1);
  } else {
    ++stats_.sleeps;
    io_uring_cqe* first = nullptr;
    __kernel_timespec time{};
    time.tv_sec = static_cast<std::int64_t>(wait.value() / 1000);
    time.tv_nsec = static_cast<long long>(wait.value() % 1000) * 1'000'000;
    result = io_uring_submit_and_wait_timeout(&ring_, &first, 1, &time, nullptr);
  }
  const bool passing = result == -ETIME || result == -EINTR || result == -EBUSY ||
                       result == -EAGAIN;
  if (result < 0 && !passing) FATAL(FatalReason::kernel_refused, "io_uring_enter failed");
}

void Reactor::collect() {
  batch_.clear();
  batch_.swap(deferred_);
  unsigned head = 0;
  unsigned seen = 0;
  io_uring_cqe* cqe = nullptr;
  io_uring_for_each_cqe(&ring_, head, cqe) {
    ++seen;
    if (auto* op = static_cast<RingOp*>(io_uring_cqe_get_data(cqe)); op != nullptr) {
      batch_.push_back(Completion{op, cqe->res, cqe->flags});
    }
  }
  io_uring_cq_advance(&ring_, seen);
  stats_.completions += seen;
}

void Reactor::dispatch() {
  for (const Completion& completion : batch_) {
    const bool more = (completion.flags & IORING_CQE_F_MORE) != 0;
    if (completion.op != &mailbox_op_ && !more) {
      CHECK(in_flight_ > 0);
      --in_flight_;
    }
    refresh();
    completion.op->done(*completion.op, completion.result, completion.flags);
  }
}

void Reactor::fire_timers() {
  // A user may set a deadline that is due already; it fires in the next pass, or this never ends.
  for (std::size_t left = timers_.size(); left > 0; --left) {
    refresh();
    runtime::TimerUser* user = timers_.take_due(now());
    if (user == nullptr) return;
    user->on_timer(now());
  }
}

void Reactor::flush() {
  flushing_.swap(flushes_);
  for (std::size_t i = 0; i < flushing_.size(); ++i) {
    Flushable* user = flushing_[i];
    if (user == nullptr) continue;
    user->flush_queued_ = false;
    user->on_flush();
  }
  flushing_.clear();
}

}  // namespace seawall::io
