// All workloads of up to three operations, with all crash states of each of their moments: the
// store, opened from every disk that a crash may leave, is an acknowledged prefix of the model.
// BOUNDED_EVERY=1 takes every workload of three operations; else an even share of them, printed.
#include <malloc.h>

#include <cstdio>
#include <cstdlib>

#include "tests/log/crash_drive.h"
#include "wal/testing/crash_states.h"

namespace seawall::wal {
namespace {

constexpr std::uint64_t all_states_up_to = 1 << 10;  // ten sectors of two versions
constexpr std::uint64_t sampled_states = 10;
constexpr std::uint64_t every_by_default = 1;

enum class Act : std::uint8_t {
  write_one, write_over, discard_part, discard_extent, zeroes, term_start, flush, fold, promise,
  roll, reopen,
};
constexpr std::uint64_t acts = 11;

struct Tried {
  std::uint64_t workloads = 0, moments = 0, states = 0, of_all = 0, sampled = 0;
};

class Bounded {
 public:
  explicit Bounded(CrashStates::Kind kind) : kind_(kind) {}

  // One workload: stopped at its n-th change, for every n.
  void try_all_moments(const std::vector<Act>& workload) {
    ++tried_.workloads;
    for (std::uint64_t stop = 1; stop < 500; ++stop) {
      Rig rig(48, Rig::log_bytes, 16 * 1024);
      Acknowledged acked;
      ASSERT_TRUE(rig.open().has_value());
      ASSERT_TRUE(rig.write(0, 4));
      rig.flush();
      note(rig, acked);
      rig.disk->stop_after(stop);
      for (const Act act : workload) play(rig, act, acked);
      const bool over = !rig.disk->stopped();
      ++tried_.moments;
      try_states(rig, acked, stop);
      if (::testing::Test::HasFailure() || over) return;
    }
  }
  [[nodiscard]] const Tried& tried() const { return tried_; }

 private:
  static void note(const Rig& rig, Acknowledged& acked) {
    acked.written = std::max(acked.written, rig.sink.written);
    acked.durable = std::max(acked.durable, rig.sink.durable);
    if (!rig.sink.tokens.empty()) acked.promised = std::max(acked.promised, rig.sink.tokens.back());
  }

  void play(Rig& rig, Act act, Acknowledged& acked) {
    if (rig.store == nullptr || rig.disk->stopped()) return;
    switch (act) {
      case Act::write_one: MAYBE(rig.write(1)); break;
      case Act::write_over: MAYBE(rig.write(2, 3)); break;  // two extents
      case Act::discard_part: MAYBE(rig.discard(1, 2)); break;
      case Act::discard_extent: MAYBE(rig.discard(0, 8)); break;
      case Act::zeroes: MAYBE(rig.append(rig.make(RecordKind::write_zeroes, 3, 2))); break;
      case Act::term_start: MAYBE(rig.start_term()); break;
      case Act::flush: rig.store->flush(); break;
      case Act::fold:
        rig.settle_stable();
        rig.store->request_checkpoint();
        break;
      case Act::promise: {
        SuperUpdate update;
        const std::uint64_t next = std::max(acked.promised, asked_promise_) + 1;
        asked_promise_ = next;
        update.promised = Epoch(next);
        rig.store->write_super(update, next);
        break;
      }
      case Act::roll:
        for (int i = 0; i < 5; ++i) MAYBE(rig.write(8 + static_cast<std::uint64_t>(i) * 4, 4));
        break;
      case Act::reopen: reopen(rig, acked); return;
    }
    // Every second kind of act is waited for: others find it under way.
    if (static_cast<int>(act) % 2 == 0) rig.run();
    else rig.pump();
    note(rig, acked);
  }

  static void reopen(Rig& rig, Acknowledged& acked) {
    rig.run();
    note(rig, acked);
    if (rig.disk->stopped()) return;
    rig.store->quiesce();
    rig.run();
    note(rig, acked);
    if (rig.disk->stopped() || !rig.store->close_blocking(true).has_value()) return;
    rig.store.reset();
    rig.keep_model = true;  // what a stopped opening finds is not the truth
    MAYBE(rig.open().has_value());
    rig.keep_model = false;
  }

  void try_states(Rig& rig, const Acknowledged& acked, std::uint64_t stop) {
    const bool power = kind_ == CrashStates::Kind::power;
    const CrashStates states(*rig.disk, kind_);
    Prng prng(stop * 31 + tried_.workloads);
    rig.kill(prng);  // the rig is its model from here on
    rig.keep_model = true;
    const std::uint64_t count = states.count(all_states_up_to + 1);
    const bool all = count <= all_states_up_to;
    ++(all ? tried_.of_all : tried_.sampled);
    for (std::uint64_t number = 0; number < (all ? count : sampled_states); ++number) {
      std::vector<std::size_t> choice =
          all ? states.combination(number) : std::vector<std::size_t>(states.versions().size(), 0);
      for (std::size_t i = 0; !all && number > 0 && i < choice.size(); ++i) {
        const std::size_t versions = states.versions()[i];
        choice[i] = number == 1 ? versions - 1 : prng.below(versions);
      }
      rig.disk = states.state(choice);
      if (power) ++rig.boot;
      ++tried_.states;
      SCOPED_TRACE("stopped at change " + std::to_string(stop) + ", state " +
                   std::to_string(number));
      ASSERT_TRUE(rig.open().has_value());
      expect_prefix(rig, acked, power);
      rig.store.reset();
      if (::testing::Test::HasFailure()) return;
    }
  }

  CrashStates::Kind kind_;
  std::uint64_t asked_promise_ = 0;
  Tried tried_;
};

std::vector<Act> workload_of(std::uint64_t number, std::uint64_t length) {
  std::vector<Act> workload;
  for (std::uint64_t i = 0; i < length; ++i, number /= acts) {
    workload.push_back(static_cast<Act>(number % acts));
  }
  return workload;
}

void try_all(CrashStates::Kind kind) {
  // A disk and a store for each state: their memory stays with the process, or most of the time
  // would be the kernel's.
  mallopt(M_MMAP_THRESHOLD, 1 << 30);
  mallopt(M_TRIM_THRESHOLD, 1 << 30);
  const char* text = std::getenv("BOUNDED_EVERY");
  const std::uint64_t every = text != nullptr ? std::stoull(text) : every_by_default;
  Bounded bounded(kind);
  std::uint64_t of = 1;
  for (std::uint64_t length = 1; length <= 3; ++length) {
    of *= acts;
    const std::uint64_t step = length < 3 ? 1 : every;
    for (std::uint64_t number = step / 2; number < of; number += step) {
      SCOPED_TRACE("workload " + std::to_string(number) + " of length " + std::to_string(length));
      bounded.try_all_moments(workload_of(number, length));
      if (::testing::Test::HasFailure()) return;
    }
  }
  const Tried& tried = bounded.tried();
  std::printf("%llu workloads (of length 3 every %llu.), %llu moments: %llu with all their states, "
              "%llu sampled; %llu states\n",
              static_cast<unsigned long long>(tried.workloads),
              static_cast<unsigned long long>(every),
              static_cast<unsigned long long>(tried.moments),
              static_cast<unsigned long long>(tried.of_all),
              static_cast<unsigned long long>(tried.sampled),
              static_cast<unsigned long long>(tried.states));
}

TEST(WalBounded, W11_all_workloads_of_up_to_three_operations_survive_every_loss_of_power) {
  try_all(CrashStates::Kind::power);
}

// Of what was asked at the death each has landed or not; the next process opens after that.
TEST(WalBounded, W39_whatever_a_dead_process_had_in_flight_lands_in_every_combination) {
  try_all(CrashStates::Kind::process);
}

}  // namespace
}  // namespace seawall::wal
