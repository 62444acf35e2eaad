// CrashPoints: every boundary of a scripted run, and the runs in which somebody dies there.
//
// Purpose: hears every boundary of a run (trace.h: each disk operation asked and done, each change
// of the disk by blocking work, each frame and control message that leaves or arrives, each commit
// of the store, each request and answer of the client). At each one in the scene this process is
// copied (fork): the copy goes on with the death of the one that is at the boundary, by a crash
// and, where it has a machine, by a loss of power; the original goes on as if nothing had been. So
// the run up to the point is the same by construction. With depth 2 the copy does it again, at
// boundaries between its death and the moment when all are in sync again.
// Life cycle: one run; start() before it, finish() after it; a copy does not return from finish().
// Thread: one, plus children. Bounded: `jobs` children at a time of one process.
// Errors: a copy reports to the board (board.h); one that dies is reported by its parent.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sim/enumerate/board.h"
#include "sim/run.h"
#include "sim/scene.h"

namespace seawall::sim {

struct CrashPlan {
  unsigned depth = 0;              // 0: nobody dies, boundaries are counted
  unsigned jobs = 1;
  std::uint64_t stride = 1;        // every n-th boundary of the scene, from `offset` on
  std::uint64_t offset = 0;
  std::uint64_t second_most = 20;  // second deaths that are tried behind one first death
  bool in_turn = false;            // one death a point, a crash or a loss of power, in turn
  unsigned limit_s = 60;           // of CPU time of one run
  bool progress = false;
  std::uint64_t expected = 0;      // boundaries of the scene, for the progress bar
  std::vector<Death> deaths;       // not empty: one run, in which these happen
};

// What the boundaries of one scene were.
struct Tally {
  std::uint64_t boundaries = 0;
  std::uint64_t taken = 0;                      // of them, as crash points
  std::uint64_t crashes = 0, power_losses = 0;  // deaths at those
  std::map<std::string, std::uint64_t> by_role, by_kind;
};

class CrashPoints {
 public:
  CrashPoints(const CrashPlan& plan, Board& board) : plan_(plan), board_(board) {}

  void start(Trace& trace);
  void set_scene(Scene& scene) { scene_ = &scene; }
  // A copy ends here.
  void finish(const RunResult& result);

  // Whoever died was started again, by its own or by the healing.
  [[nodiscard]] bool all_back() const { return down_ == 0; }

  [[nodiscard]] const Tally& tally() const { return tally_; }

 private:
  enum class Mode : std::uint8_t { counting, dying, branching };

  void heard(const TraceRecord& record);
  void reached(NodeNumber who, What what);
  void branch(NodeNumber who, std::uint64_t boundary);
  bool become(NodeNumber who, const Death& death);
  void second_deaths();
  void die(NodeNumber who, const Death& death);
  [[nodiscard]] bool takes(std::uint64_t boundary) const;
  [[nodiscard]] const char* role(NodeNumber node) const;
  pid_t copy(const Death& death);
  void wait_for_one();
  void wait_for_all();
  void reaped(const CrashPath& path, int status);
  void show_progress() const;

  CrashPlan plan_;
  Board& board_;
  Scene* scene_ = nullptr;
  Mode mode_ = Mode::counting;
  CrashPath path_;
  bool open_ = false;
  bool copied_ = false;
  std::uint64_t heals_ = 0;  // heard; whoever was down is up since
  unsigned down_ = 0;
  std::uint64_t reached_ = 0;  // boundaries since the scene, or the last death, began
  std::uint64_t stride_ = 1, offset_ = 0;
  std::uint64_t* length_out_ = nullptr;  // of the recovery, for whoever branches in it
  Tally tally_;
  std::map<pid_t, CrashPath> children_;
};

}  // namespace seawall::sim
