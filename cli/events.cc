// seawall events [VOLUME] [--follow]
#include <fmt/format.h>

#include <chrono>
#include <cstdio>
#include <thread>

#include "cli/command.h"
#include "cli/json_text.h"
#include "controller/stream/convert.h"
#include "controller/stream/watcher.h"

namespace seawall::cli {
namespace {

namespace stream = controller::stream;

struct EventOptions {
  std::string volume;
  bool follow = false;
};

// Prints each message of the stream once, whatever is sent twice.
class Printer {
 public:
  Printer(const Context& context, bool named) : context_(context), named_(named) {}

  void show(const stream::ToWatcher& message, const stream::Watched* before) {
    if (const auto* event = std::get_if<controller::ChangeEvent>(&message)) {
      const bool seen = before != nullptr && event->revision <= before->last.revision;
      if (!seen) print(event->volume, {event->epoch, event->revision}, event->type, event->fields);
    } else if (const auto* snapshot = std::get_if<stream::Snapshot>(&message)) {
      print(snapshot->volume, snapshot->version, snapshot->gone ? "gone" : "state",
            controller::difference({}, snapshot->state, ""));
    }
  }
  void name(VolumeId volume, const std::string& name) { names_[volume] = name; }
  void remark(const std::string& text) {
    if (!context_.json()) std::fprintf(stderr, "%s\n", text.c_str());
  }

 private:
  void print(VolumeId volume, const controller::Version& version, const std::string& type,
             const std::string& fields) {
    const auto known = names_.find(volume);
    const std::string name = known == names_.end() ? volume.to_hex().data() : known->second;
    if (context_.json()) {
      emit(boost::json::serialize(boost::json::object{{"volume", name},
                                                      {"id", volume.to_hex().data()},
                                                      {"epoch", version.epoch.value()},
                                                      {"revision", version.revision.value()},
                                                      {"type", type},
                                                      {"fields", fields}}) +
           "\n");
      return;
    }
    emit(fmt::format("{}epoch {} rev {}  {:<16} {}\n", named_ ? "" : name + "  ",
                     version.epoch.value(), version.revision.value(), type, fields));
  }
  static void emit(const std::string& text) {
    std::fputs(text.c_str(), stdout);
    if (std::fflush(stdout) != 0) throw Failure(ExitCode::failed, "standard output is closed");
  }

  const Context& context_;
  const bool named_;
  std::map<VolumeId, std::string> names_;
};

VolumeId id_of(const pb::Volume& volume) {
  VolumeId id;
  if (!VolumeId::parse(volume.id().data(), volume.id().size(), id)) {
    throw Failure(ExitCode::failed, "the controller names a volume without an id");
  }
  return id;
}

// One stream, from connection to its end; what was printed stays known over reconnects.
class Session {
 public:
  Session(const Context& context, const EventOptions& options)
      : context_(context), options_(options), printer_(context, !options.volume.empty()) {}

  void run() {
    const std::unique_ptr<ControllerClient> client = context_.controller(5'000);
    learn_volumes(*client);
    if (!options_.follow && left_.empty()) return;
    std::vector<stream::Effect> effects;
    watcher_.connected(options_.follow && options_.volume.empty(), effects);
    for (const VolumeId volume : wanted_) {
      if (!watcher_.volumes().contains(volume)) watcher_.claim(volume, effects);
    }
    client->watch_volumes(requests(effects), [this](const pb::WatchReply& reply) {
      stream::ToWatcher message;
      if (!stream::from_proto(reply, message)) {
        throw Failure(ExitCode::failed, "the controller says what this program does not know");
      }
      return hear(message);
    });
  }
  void remark(const std::string& text) { printer_.remark(text); }

 private:
  void learn_volumes(ControllerClient& client) {
    std::vector<pb::Volume> volumes;
    if (options_.volume.empty()) {
      volumes = client.list_volumes();
    } else {
      volumes.push_back(client.get_volume(options_.volume));
    }
    for (const pb::Volume& volume : volumes) {
      printer_.name(id_of(volume), volume.name());
      wanted_.insert(id_of(volume));
      if (!watcher_.volumes().contains(id_of(volume))) left_.insert(id_of(volume));
    }
  }

  // What goes up next; nullopt: everything that was asked for has been seen.
  std::optional<std::vector<pb::WatchRequest>> hear(const stream::ToWatcher& message) {
    std::vector<stream::Effect> effects;
    if (const auto* answer = std::get_if<stream::Answer>(&message)) {
      committed_[answer->volume] = answer->ruling.committed;
      if (answer->ruling.verdict == stream::Verdict::not_found) left_.erase(answer->volume);
    } else {
      const VolumeId volume = std::visit([](const auto& one) { return one.volume; }, message);
      const auto before = watcher_.volumes().find(volume);
      printer_.show(message, before == watcher_.volumes().end() ? nullptr : &before->second);
    }
    watcher_.hear(message, effects);
    for (const auto& [volume, watched] : watcher_.volumes()) {
      const auto name = watched.state.find("name");
      if (name != watched.state.end()) printer_.name(volume, name->second);
      const auto committed = committed_.find(volume);
      if (committed != committed_.end() && watched.last.revision >= committed->second.revision) {
        left_.erase(volume);
      }
    }
    if (!options_.follow && left_.empty()) return std::nullopt;
    return requests(effects);
  }

  static std::vector<pb::WatchRequest> requests(const std::vector<stream::Effect>& effects) {
    std::vector<pb::WatchRequest> all;
    for (const stream::Effect& effect : effects) {
      if (const auto* stop = std::get_if<stream::effect::Stop>(&effect)) {
        throw Failure(ExitCode::failed, stop->reason);
      }
      const auto* say = std::get_if<stream::effect::Say>(&effect);
      if (say == nullptr) continue;
      stream::to_proto(say->message, all.emplace_back());
    }
    return all;
  }

  const Context& context_;
  const EventOptions& options_;
  Printer printer_;
  stream::Watcher watcher_;
  std::set<VolumeId> wanted_, left_;
  std::map<VolumeId, controller::Version> committed_;
};

void show_events(const Context& context, const EventOptions& options) {
  Session session(context, options);
  if (!options.follow) {
    session.run();
    return;
  }
  for (std::string reason;;) {
    try {
      session.run();
    } catch (const Failure& failure) {
      if (failure.code() != ExitCode::unreachable) throw;
      if (reason != failure.what()) session.remark(failure.what());
      reason = failure.what();
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
  }
}

}  // namespace

void add_events(CLI::App& app, Context& context) {
  CLI::App* const command =
      app.add_subcommand("events", "What was decided for each volume, in order, without a gap");
  const auto options = std::make_shared<EventOptions>();
  command->add_option("volume", options->volume, "Of this volume only");
  command->add_flag("--follow", options->follow, "Go on with what comes (end with Ctrl-C)");
  command->callback([&context, options] { show_events(context, *options); });
}

}  // namespace seawall::cli
