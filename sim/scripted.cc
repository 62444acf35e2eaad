#include "sim/scripted.h"

#include <cinttypes>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <functional>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include "engine/base/limits.h"
#include "sim/cluster.h"
#include "sim/workload.h"

namespace seawall::sim {
namespace {

constexpr Micros patience = 60 * seconds;
constexpr std::uint64_t volume_blocks = 64 * limits::MiB / limits::block_bytes;

struct ScriptLine {
  std::string text;  // as it stands in the script
  IoRequest request;
};

std::optional<ScriptLine> parse_line(const std::string& text) {
  std::istringstream words(text);
  std::string verb, word;
  words >> verb;
  ScriptLine line{text, {}};
  if (verb == "flush") {
    line.request.kind = ClientOp::flush;
    return line;
  }
  if (verb == "write") {
    line.request.kind = ClientOp::write;
  } else if (verb == "zero") {
    line.request.kind = ClientOp::write_zeroes;
  } else if (verb == "discard") {
    line.request.kind = ClientOp::discard;
  } else if (verb == "read") {
    line.request.kind = ClientOp::read;
  } else {
    return std::nullopt;
  }
  if (!(words >> line.request.lba >> line.request.blocks)) return std::nullopt;
  if (words >> word) {
    if (word != "fua") return std::nullopt;
    line.request.fua = true;
  }
  return line;
}

RunOptions calm_options() {
  RunOptions options;
  options.seed = 2;
  options.log_bytes = limits::log_bytes_min;
  options.workload.volume_blocks = volume_blocks;
  return options;
}

// The files of one replica, sparse where nothing was written.
void write_out(const wal::MemDisk& disk, const std::filesystem::path& directory) {
  for (const std::string& name : disk.names()) {
    const std::filesystem::path path = directory / name;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream file(path, std::ios::binary);
    for (const std::uint64_t page : disk.used_pages(name)) {
      const std::uint64_t at = page * wal::MemDisk::page_bytes;
      const std::vector<std::byte> bytes = disk.peek(name, at, wal::MemDisk::page_bytes);
      file.seekp(static_cast<std::streamoff>(at));
      file.write(reinterpret_cast<const char*>(bytes.data()),
                 static_cast<std::streamsize>(bytes.size()));
    }
    file.close();
    std::filesystem::resize_file(path, disk.file_size(name));
  }
}

class Scripted {
 public:
  Scripted() : cluster_(scheduler_, trace_, verdict_, options_, Prng(options_.seed)) {
    cluster_.controller().set_on_commit([](const controller::ChangeEvent& event) {
      std::printf("E|%" PRIu64 "|%" PRIu64 "|%s\n", event.epoch.value(), event.revision.value(),
                  event.type.c_str());
    });
    for (NodeNumber node = 1; node <= cluster_.machines(); ++node) cluster_.start(node);
    cluster_.controller().start();
    cluster_.volume(0).hold();
    cluster_.volume(0).create(workload_);
  }

  // A user who waits until the volume is whole, and attaches then.
  bool ready() {
    if (!until([this] { return cluster_.what_is_not_in_sync().empty(); })) return false;
    cluster_.volume(0).go();
    return until([this] { return workload_.has_client(); });
  }

  bool ask(const ScriptLine& line) {
    std::optional<bool> ok;
    if (!workload_.submit(line.request, [&ok](bool good) { ok = good; })) return false;
    if (!until([&ok] { return ok.has_value(); })) return false;
    std::printf("C|%s|%s\n", line.text.c_str(), *ok ? "ok" : "failed");
    return true;
  }

  bool rest() {
    return until([this] { return cluster_.what_is_not_at_rest().empty(); });
  }

  void write_disks(const std::filesystem::path& directory) {
    for (NodeNumber node = 1; node <= cluster_.storage_nodes(); ++node) {
      for (const auto& [replica, entry] : cluster_.disks_of(node).entries()) {
        write_out(*entry.disk, directory / ("n" + std::to_string(node)));
      }
    }
  }

  [[nodiscard]] const Verdict& verdict() const { return verdict_; }
  [[nodiscard]] std::string describe() const { return cluster_.describe(); }

 private:
  bool until(const std::function<bool()>& done) {
    const Micros deadline = scheduler_.now() + patience;
    while (!verdict_.failed() && !done()) {
      if (scheduler_.next_time() > deadline || !scheduler_.step()) return false;
    }
    return !verdict_.failed();
  }

  const RunOptions options_ = calm_options();
  Trace trace_{false};
  Verdict verdict_;
  Scheduler scheduler_;
  Workload workload_{scheduler_, trace_, verdict_, Prng(1), options_.workload, false};
  Cluster cluster_;
};

int run_script(const std::vector<ScriptLine>& script, const std::string& directory) {
  Scripted run;
  bool good = run.ready();
  for (const ScriptLine& line : script) good = good && run.ask(line);
  good = good && run.rest();
  if (run.verdict().failed()) {
    std::fprintf(stderr, "wrong: %s\n", run.verdict().text().c_str());
    return static_cast<int>(Failure::safety);
  }
  if (!good) {
    std::fprintf(stderr, "no answer: %s\n", run.describe().c_str());
    return static_cast<int>(Failure::liveness);
  }
  run.write_disks(directory);
  return 0;
}

}  // namespace

int script_main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: seawall-sim script FILE DIRECTORY\n");
    return 2;
  }
  std::ifstream file(argv[0]);
  std::vector<ScriptLine> script;
  for (std::string text; std::getline(file, text);) {
    if (text.empty() || text.front() == '#') continue;
    const auto line = parse_line(text);
    if (!line) {
      std::fprintf(stderr, "no request: %s\n", text.c_str());
      return 2;
    }
    script.push_back(*line);
  }
  if (script.empty()) {
    std::fprintf(stderr, "%s holds no request\n", argv[0]);
    return 2;
  }
  return run_script(script, argv[1]);
}

}  // namespace seawall::sim
