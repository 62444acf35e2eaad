#include "sim/enumerate/crash_main.h"

#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "sim/enumerate/crash_points.h"
#include "sim/enumerate/operations.h"
#include "sim/generations/generations.h"

namespace seawall::sim {
namespace {

constexpr const char* usage =
    "seawall-sim crashpoints    somebody dies at every boundary of scripted operations\n"
    "  --operation NAME         this one only; --list shows all\n"
    "  --depth 1|2              2: and once more, at boundaries of the recovery (1)\n"
    "  --points N               at most N boundaries an operation, evenly spread (all)\n"
    "  --in-turn                one death a point, a crash or a loss of power, in turn (both)\n"
    "  --second N               at most N second deaths behind each first one (20)\n"
    "  --at B:crash|power[,..]  one run: the death at boundary B, and one at B of the recovery\n"
    "  --seed N                 what else is drawn (4)\n"
    "  --generation G           v1, v1_5 or v2\n"
    "  --jobs J                 so many runs at a time (2)\n"
    "  --trace                  with --at: every event\n"
    "  --json                   one JSON object a line\n"
    "exit status: 0 all good; 2 usage; 31 safety, 32 liveness, 34 crash; 38 points were missed\n";

constexpr Micros longest_absence = 10 * seconds;
constexpr int points_missed = 38;
constexpr std::uint64_t replays = 2;  // points an operation that are run again from the beginning

struct Wanted {
  const Operation* operation = nullptr;
  const Generation* generation = nullptr;
  CrashPlan plan;
  CrashPath at;
  std::uint64_t points = ~0ull;
  std::uint64_t seed = 0;
  bool json = false, trace = false;
};

[[noreturn]] void refuse(const char* what, const char* argument) {
  std::fprintf(stderr, "seawall-sim crashpoints: %s: %s\n%s", what, argument, usage);
  std::exit(2);
}

std::uint64_t take_number(const char* name, const char* value) {
  std::uint64_t out = 0;
  const char* end = value == nullptr ? nullptr : value + std::strlen(value);
  if (value == nullptr || std::from_chars(value, end, out).ptr != end || end == value) {
    refuse("wants a whole number", name);
  }
  return out;
}

void take_value(std::string_view name, const char* value, Wanted& wanted) {
  if (value == nullptr) refuse("wants a value", std::string(name).c_str());
  if (name == "--operation") {
    wanted.operation = find_operation(value);
    if (wanted.operation == nullptr) refuse("knows no such operation", value);
  } else if (name == "--depth") {
    wanted.plan.depth = static_cast<unsigned>(take_number("--depth", value));
    if (wanted.plan.depth < 1 || wanted.plan.depth > 2) refuse("takes 1 or 2", "--depth");
  } else if (name == "--points") {
    wanted.points = std::max<std::uint64_t>(1, take_number("--points", value));
  } else if (name == "--second") {
    wanted.plan.second_most = std::max<std::uint64_t>(1, take_number("--second", value));
  } else if (name == "--jobs") {
    wanted.plan.jobs = std::max(1u, static_cast<unsigned>(take_number("--jobs", value)));
  } else if (name == "--seed") {
    wanted.seed = take_number("--seed", value);
  } else if (name == "--at") {
    if (!parse_path(value, wanted.at)) refuse("wants 12:crash or 12:crash,7:power", value);
  } else if (name == "--generation") {
    for (const Generation* each : all_generations()) {
      if (std::string_view(each->name) == value) wanted.generation = each;
    }
    if (wanted.generation == nullptr) refuse("wants v1, v1_5 or v2", value);
  } else {
    refuse("unknown argument", std::string(name).c_str());
  }
}

Wanted parse(int argc, char** argv) {
  Wanted wanted;
  wanted.plan.depth = 1;
  wanted.plan.jobs = 2;
  for (int i = 0; i < argc; ++i) {
    const std::string_view name = argv[i];
    if (name == "--json") {
      wanted.json = true;
    } else if (name == "--trace") {
      wanted.trace = true;
    } else if (name == "--in-turn") {
      wanted.plan.in_turn = true;
    } else if (name == "--list") {
      for (const Operation& each : operations()) std::printf("%-12s %s\n", each.name, each.what);
      std::exit(0);
    } else if (name == "--help" || name == "-h") {
      std::fputs(usage, stdout);
      std::exit(0);
    } else {
      take_value(name, i + 1 < argc ? argv[i + 1] : nullptr, wanted);
      ++i;
    }
  }
  return wanted;
}

// One operation: counted, enumerated, compared, reported.
class Enumeration {
 public:
  Enumeration(const Operation& operation, const Wanted& wanted)
      : operation_(operation), wanted_(wanted), board_(Board::make()) {}
  ~Enumeration() { Board::unmake(board_); }
  Enumeration(const Enumeration&) = delete;
  Enumeration& operator=(const Enumeration&) = delete;

  // The exit status.
  int run() {
    if (!count()) return static_cast<int>(counted_.failure);
    CrashPlan plan = wanted_.plan;
    plan.stride = in_trace_ / wanted_.points + (in_trace_ % wanted_.points != 0 ? 1 : 0);
    plan.offset = plan.stride / 2;
    plan.expected = in_trace_;
    plan.progress = isatty(2) != 0;
    enumerate(plan);
    replay_some();
    wanted_.json ? print_json() : print();
    print_failures();
    return status();
  }

  int run_one() {
    CrashPlan plan = wanted_.plan;
    plan.deaths.assign(wanted_.at.death, wanted_.at.death + wanted_.at.deaths);
    Trace trace(false);
    trace.set_live(wanted_.trace);
    trace.set_details(true);
    CrashPoints points(plan, board_);
    const RunResult result = play(points, trace);
    if (!wanted_.trace && result.failure != Failure::none) {
      for (const std::string& line : trace.tail(40)) std::printf("    %s\n", line.c_str());
    }
    std::printf("%s %s: %s%s%s, hash %016" PRIx64 "\n", operation_.name,
                path_text(wanted_.at).c_str(),
                result.failure == Failure::none ? "good" : "FAILED: ",
                result.failure == Failure::none ? "" : failure_name(result.failure),
                result.failure == Failure::none ? "" : (": " + result.text).c_str(), result.hash);
    return static_cast<int>(result.failure);
  }

 private:
  RunResult play(CrashPoints& points, Trace& trace) {
    RunOptions options = operation_.options();
    if (wanted_.seed != 0) options.seed = wanted_.seed;
    if (wanted_.generation != nullptr) options.generation = wanted_.generation;
    done_ = SceneDone{};
    options.script = [&](Scene& scene) {
      points.set_scene(scene);
      operation_.script(scene, done_);
      scene.until([&points] { return points.all_back(); }, longest_absence);
    };
    points.start(trace);
    const RunResult result = run_seed(options, trace);
    points.finish(result);
    return result;
  }

  // The run without a death. What the trace holds is counted apart from what the hook hears.
  bool count() {
    Trace trace(true);
    CrashPlan plan;
    CrashPoints points(plan, board_);
    counted_ = play(points, trace);
    tally_ = points.tally();
    did_ = done_;
    bool in_scene = false;
    for (std::size_t i = 0; i < trace.kept_count(); ++i) {
      const TraceRecord& record = trace.kept(i);
      if (record.what == What::scene) in_scene = record.a == 1;
      if (in_scene && is_boundary(record.what)) ++in_trace_;
    }
    if (counted_.failure == Failure::none) return true;
    std::printf("%s FAILED without any death: %s: %s\n", operation_.name,
                failure_name(counted_.failure), counted_.text.c_str());
    return false;
  }

  void enumerate(const CrashPlan& plan) {
    Trace trace(false);
    CrashPoints points(plan, board_);
    const RunResult again = play(points, trace);
    const Tally& tally = points.tally();
    taken_ = tally.taken;
    demand(again.hash == counted_.hash, "the enumerated run was another one");
    demand(tally.boundaries == in_trace_, "boundaries in the trace: " + std::to_string(in_trace_) +
                                              ", heard: " + std::to_string(tally.boundaries));
    const std::uint64_t stride = plan.stride;
    demand(tally.taken == (in_trace_ - plan.offset + stride - 1) / stride,
           "crash points taken: " + std::to_string(tally.taken));
    demand(board_.crashes[0] == tally.crashes,
           "crashes run: " + std::to_string(board_.crashes[0]) + " of " +
               std::to_string(tally.crashes));
    demand(board_.power_losses[0] == tally.power_losses,
           "power losses run: " + std::to_string(board_.power_losses[0]) + " of " +
               std::to_string(tally.power_losses));
  }

  // Copies of a process and runs from the beginning must be the same.
  void replay_some() {
    std::uint64_t left = replays;
    const std::uint64_t reach = std::min<std::uint64_t>(in_trace_, Board::hashes_most);
    for (std::uint64_t at = reach / 3; at < reach && left > 0; ++at) {
      const Death death{at, left % 2 == 0};
      const std::uint64_t hash = board_.hash(death);
      if (hash == 0) continue;
      --left;
      at += reach / 3;
      CrashPlan plan;
      plan.deaths = {death};
      Trace trace(false);
      CrashPoints points(plan, board_);
      demand(play(points, trace).hash == hash,
             "the replay of boundary " + std::to_string(death.boundary) + " was another run");
    }
  }

  void demand(bool holds, const std::string& what) {
    if (!holds) missed_.push_back(what);
  }

  [[nodiscard]] int status() const {
    if (board_.by_failure[3] > 0) return static_cast<int>(Failure::crash);
    if (board_.by_failure[0] > 0) return static_cast<int>(Failure::safety);
    if (!missed_.empty()) return points_missed;
    return board_.by_failure[1] > 0 ? static_cast<int>(Failure::liveness) : 0;
  }

  static std::string counts(const std::map<std::string, std::uint64_t>& of) {
    std::string text;
    for (const auto& [name, count] : of) {
      text += (text.empty() ? "" : ", ") + name + " " + std::to_string(count);
    }
    return text;
  }

  void print() const {
    std::printf("%-12s %" PRIu64 " boundaries in the trace, %" PRIu64
                " crash points (%.1f %%): %" PRIu64 " crashes, %" PRIu64 " power losses",
                operation_.name, in_trace_, taken_,
                100.0 * static_cast<double>(taken_) / static_cast<double>(in_trace_),
                board_.crashes[0].load(), board_.power_losses[0].load());
    if (wanted_.plan.depth > 1) {
      std::printf("; depth 2: %" PRIu64 " runs at %" PRIu64 " points of %" PRIu64
                  " boundaries in recoveries (%.2f %%)",
                  board_.runs(2), board_.crashes[1].load(), board_.recovery_boundaries.load(),
                  100.0 * static_cast<double>(board_.crashes[1].load()) /
                      static_cast<double>(std::max<std::uint64_t>(1, board_.recovery_boundaries)));
    }
    std::printf("; %" PRIu64 " failed\n", board_.failures.load());
    std::printf("%14sthe scene: %s\n%14sby role: %s\n%14sby kind: %s\n", "",
                describe(did_).c_str(), "", counts(tally_.by_role).c_str(), "",
                counts(tally_.by_kind).c_str());
    for (const std::string& what : missed_) std::printf("%14sMISMATCH: %s\n", "", what.c_str());
    std::fflush(stdout);
  }

  void print_json() const {
    std::printf("{\"operation\":\"%s\",\"boundaries\":%" PRIu64 ",\"points\":%" PRIu64
                ",\"crashes\":%" PRIu64 ",\"power_losses\":%" PRIu64 ",\"second_points\":%" PRIu64
                ",\"second_runs\":%" PRIu64 ",\"recovery_boundaries\":%" PRIu64
                ",\"failed\":%" PRIu64 ",\"mismatches\":%zu,\"scene\":\"%s\"}\n",
                operation_.name, in_trace_, taken_, board_.crashes[0].load(),
                board_.power_losses[0].load(), board_.crashes[1].load(), board_.runs(2),
                board_.recovery_boundaries.load(), board_.failures.load(), missed_.size(),
                describe(did_).c_str());
    std::fflush(stdout);
  }

  void print_failures() const {
    constexpr std::uint64_t most = 8;
    const std::uint64_t kept = std::min({board_.failures.load(), Board::failures_most, most});
    for (std::uint64_t i = 0; i < kept; ++i) {
      const Board::Failed& failed = board_.first[i];
      std::string replay = "./dev sim crashpoints --operation " + std::string(operation_.name) +
                           " --at " + path_text(failed.path);
      if (wanted_.seed != 0) replay += " --seed " + std::to_string(wanted_.seed);
      if (wanted_.generation != nullptr) {
        replay += std::string(" --generation ") + wanted_.generation->name;
      }
      std::printf("%14sFAILED at %s: %s: %s\n%14s  replay: %s --trace\n", "",
                  path_text(failed.path).c_str(), failure_name(failed.failure), failed.text, "",
                  replay.c_str());
    }
    std::fflush(stdout);
  }

  const Operation& operation_;
  const Wanted& wanted_;
  Board& board_;
  RunResult counted_;
  Tally tally_;
  SceneDone done_, did_;
  std::uint64_t in_trace_ = 0, taken_ = 0;
  std::vector<std::string> missed_;
};

}  // namespace

int crashpoints_main(int argc, char** argv) {
  const Wanted wanted = parse(argc, argv);
  if (wanted.at.deaths > 0) {
    if (wanted.operation == nullptr) refuse("needs --operation", "--at");
    return Enumeration(*wanted.operation, wanted).run_one();
  }
  int worst = 0;
  for (const Operation& operation : operations()) {
    if (wanted.operation != nullptr && wanted.operation != &operation) continue;
    worst = std::max(worst, Enumeration(operation, wanted).run());
  }
  return worst;
}

}  // namespace seawall::sim
