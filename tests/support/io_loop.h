// What tests of node/io share: a loop that is driven until a condition holds, and a directory of
// its own.
//
// Thread: the test's. Errors: run_until() answers false when the deadline went by.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "engine/base/check.h"
#include "node/io/reactor.h"
#include "node/io/steady_clock.h"

namespace seawall::testing {

class IdleTurn final : public io::TurnUser {
 public:
  void on_turn(Instant) override {}
};

// Several reactors of one thread, pumped in turn.
class Loops {
 public:
  explicit Loops(std::size_t count = 1) {
    for (std::size_t i = 0; i < count; ++i) {
      auto made = io::Reactor::create(clock_);
      CHECK(made.has_value());
      reactors_.push_back(std::move(made).value());
    }
  }
  io::Reactor& operator[](std::size_t index) { return *reactors_[index]; }
  const io::SteadyClock& clock() const { return clock_; }

  bool run_until(const std::function<bool()>& condition, Duration limit = Duration{10'000}) {
    const Instant until = clock_.now() + limit;
    while (!condition()) {
      if (clock_.now() >= until) return false;
      pass();
    }
    return true;
  }
  void pass() {
    for (auto& reactor : reactors_) reactor->pass(turn_, Duration{1});
  }
  // Destroys nothing: lets the kernel give back what it still holds.
  bool drain() {
    bool all = true;
    for (auto& reactor : reactors_) all = reactor->drain(turn_, Duration{5'000}) && all;
    return all;
  }

 private:
  io::SteadyClock clock_;
  IdleTurn turn_;
  std::vector<std::unique_ptr<io::Reactor>> reactors_;
};

// A directory below TMPDIR (or `parent`), removed at the end.
class ScratchDirectory {
 public:
  explicit ScratchDirectory(std::string parent = {}) {
    if (parent.empty()) parent = std::filesystem::temp_directory_path();
    std::string name = parent + "/seawall-test-XXXXXX";
    CHECK(::mkdtemp(name.data()) != nullptr);
    path_ = name;
  }
  ~ScratchDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  ScratchDirectory(const ScratchDirectory&) = delete;
  ScratchDirectory& operator=(const ScratchDirectory&) = delete;
  const std::string& path() const { return path_; }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

}  // namespace seawall::testing
