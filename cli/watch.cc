// seawall watch [--once]
#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <ctime>
#include <thread>

#include "cli/command.h"
#include "cli/json_text.h"
#include "cli/views.h"
#include "cli/watch_view.h"

namespace seawall::cli {
namespace {

constexpr std::uint64_t kTimeoutMs = 5'000;

boost::json::object to_json(const pb::Cluster& cluster) {
  boost::json::array volumes;
  for (const pb::Volume& volume : cluster.volumes()) volumes.push_back(volume_json(volume));
  boost::json::array nodes;
  for (const pb::Node& node : cluster.nodes()) nodes.push_back(node_json(node));
  return {{"sequence", cluster.sequence()},
          {"volumes", std::move(volumes)},
          {"nodes", std::move(nodes)}};
}

std::size_t terminal_width() {
  winsize size{};
  if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return 100;
  return size.ws_col;
}

std::string time_of_day() {
  const auto now = std::chrono::system_clock::now();
  const std::time_t seconds = std::chrono::system_clock::to_time_t(now);
  const auto since = now.time_since_epoch();
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(since).count() % 1000;
  std::tm parts{};
  ::localtime_r(&seconds, &parts);
  return fmt::format("{:02}:{:02}:{:02}.{:03}", parts.tm_hour, parts.tm_min, parts.tm_sec, ms);
}

// Where each picture goes: over the last one on a terminal, else below it, and only if it differs.
class Screen {
 public:
  explicit Screen(const Context& context)
      : context_(context), terminal_(::isatty(STDOUT_FILENO) == 1 && !context.json()) {}

  void show(const pb::Cluster& cluster) {
    if (context_.json()) {
      emit(boost::json::serialize(to_json(cluster)) + "\n");
    } else if (terminal_) {
      redraw(watch_screen(cluster, terminal_width(), context_.colours()));
    } else {
      append(watch_lines(cluster));
    }
  }
  void lost(const std::string& why) {
    emit(fmt::format("{} {}\n", time_of_day(), why));
    lines_ = 0;
  }

 private:
  void redraw(const std::string& text) {
    if (lines_ > 0) emit(fmt::format("\x1b[{}A\x1b[J", lines_));
    emit(text);
    lines_ = static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
  }
  void append(const std::string& text) {
    if (text == last_) return;
    last_ = text;
    std::size_t begin = 0;
    while (begin < text.size()) {
      const std::size_t end = text.find('\n', begin);
      emit(fmt::format("{} {}\n", time_of_day(), text.substr(begin, end - begin)));
      begin = end + 1;
    }
  }
  static void emit(const std::string& text) {
    std::fputs(text.c_str(), stdout);
    if (std::fflush(stdout) != 0) throw Failure(ExitCode::failed, "standard output is closed");
  }

  const Context& context_;
  bool terminal_;
  std::size_t lines_ = 0;
  std::string last_;
};

// Goes on over restarts of the controller.
void watch(const Context& context) {
  Screen screen(context);
  for (std::string reason;;) {
    try {
      context.controller(kTimeoutMs)->watch_cluster([&](const pb::Cluster& cluster) {
        reason.clear();
        screen.show(cluster);
        return true;
      });
    } catch (const Failure& failure) {
      if (failure.code() != ExitCode::unreachable) throw;
      if (reason != failure.what()) screen.lost(failure.what());
      reason = failure.what();
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
  }
}

}  // namespace

void add_watch(CLI::App& app, Context& context) {
  CLI::App* const command =
      app.add_subcommand("watch", "Volumes, replicas and recoveries, live (end with Ctrl-C)");
  const auto once = std::make_shared<bool>(false);
  command->add_flag("--once", *once, "Show the present state and end");
  command->callback([&context, once] {
    if (!*once) watch(context);
    const pb::Cluster cluster = context.controller(kTimeoutMs)->get_cluster();
    context.print(to_json(cluster), watch_screen(cluster, 1000, context.colours()));
  });
}

}  // namespace seawall::cli
