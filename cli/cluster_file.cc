#include "cli/cluster_file.h"

#include <fmt/format.h>
#include <sys/un.h>

#include <algorithm>
#include <cstring>
#include <filesystem>

#include "cli/failure.h"
#include "cli/files.h"
#include "cli/json_text.h"
#include "cli/suggest.h"

namespace seawall::cli {
namespace {

constexpr int kFormat = 1;
constexpr int kControllerPort = 7700;
constexpr int kDataPort = 7701;
constexpr int kFirstNodeHost = 11;

std::string file_of(const std::string& directory) { return directory + "/cluster.json"; }

[[noreturn]] void refuse(const std::string& path, const std::string& why) {
  throw Failure(ExitCode::failed,
                fmt::format("{} is not a record of a Seawall cluster: {}", path, why));
}

std::string text_of(const boost::json::object& object, const char* key, const std::string& path) {
  const boost::json::value* const value = object.if_contains(key);
  if (value == nullptr) refuse(path, fmt::format("the member \"{}\" is missing", key));
  if (!value->is_string()) refuse(path, fmt::format("the member \"{}\" is not a text", key));
  return std::string(value->get_string());
}

DaemonRecord daemon_from_json(const boost::json::value& json, const std::string& path) {
  const boost::json::object* const object = json.if_object();
  if (object == nullptr) refuse(path, "an entry of \"daemons\" is not an object");
  DaemonRecord daemon;
  daemon.name = text_of(*object, "name", path);
  const std::string role = text_of(*object, "role", path);
  if (role != "controller" && role != "node") {
    refuse(path, fmt::format("the role \"{}\" is neither \"controller\" nor \"node\"", role));
  }
  daemon.role = role == "controller" ? DaemonRole::controller : DaemonRole::node;
  daemon.address = text_of(*object, "address", path);
  if (daemon.role == DaemonRole::node) {
    daemon.pool = text_of(*object, "pool", path);
    daemon.socket = text_of(*object, "socket", path);
  }
  return daemon;
}

}  // namespace

const char* role_name(DaemonRole role) {
  return role == DaemonRole::controller ? "controller" : "node";
}

const DaemonRecord* ClusterRecord::find(std::string_view name) const {
  const auto found = std::find_if(daemons.begin(), daemons.end(),
                                  [&](const DaemonRecord& d) { return d.name == name; });
  return found == daemons.end() ? nullptr : &*found;
}

std::vector<std::string> ClusterRecord::names() const {
  std::vector<std::string> out;
  for (const DaemonRecord& daemon : daemons) out.push_back(daemon.name);
  return out;
}

std::string ClusterRecord::log_path(const DaemonRecord& daemon) const {
  return fmt::format("{}/logs/{}.log", directory, daemon.name);
}

std::string ClusterRecord::pid_path(const DaemonRecord& daemon) const {
  return fmt::format("{}/{}.pid", run_directory, daemon.name);
}

boost::json::object to_json(const ClusterRecord& cluster) {
  boost::json::array daemons;
  for (const DaemonRecord& daemon : cluster.daemons) {
    boost::json::object entry{
        {"name", daemon.name}, {"role", role_name(daemon.role)}, {"address", daemon.address}};
    if (daemon.role == DaemonRole::node) {
      entry["pool"] = daemon.pool;
      entry["socket"] = daemon.socket;
    }
    daemons.push_back(std::move(entry));
  }
  return {{"format", kFormat},
          {"run_directory", cluster.run_directory},
          {"network", cluster.network},
          {"daemons", std::move(daemons)}};
}

ClusterRecord cluster_from_json(const boost::json::value& json, const std::string& directory) {
  const std::string path = file_of(directory);
  const boost::json::object* const object = json.if_object();
  if (object == nullptr) refuse(path, "it is not a JSON object");
  const boost::json::value* const format = object->if_contains("format");
  if (format == nullptr) refuse(path, "the member \"format\" is missing");
  if (!format->is_int64() || format->get_int64() != kFormat) {
    refuse(path, fmt::format("its format is {}, this program knows format {}",
                             boost::json::serialize(*format), kFormat));
  }
  ClusterRecord cluster;
  cluster.directory = directory;
  cluster.run_directory = text_of(*object, "run_directory", path);
  cluster.network = text_of(*object, "network", path);
  const boost::json::value* const daemons = object->if_contains("daemons");
  if (daemons == nullptr || !daemons->is_array()) refuse(path, "there is no list \"daemons\"");
  for (const boost::json::value& entry : daemons->get_array()) {
    cluster.daemons.push_back(daemon_from_json(entry, path));
  }
  if (cluster.daemons.empty() || cluster.daemons.front().role != DaemonRole::controller) {
    refuse(path, "the first daemon is not a controller");
  }
  return cluster;
}

bool cluster_exists(const std::string& directory) {
  return std::filesystem::exists(file_of(directory));
}

ClusterRecord load_cluster(const std::string& directory) {
  const std::string path = file_of(directory);
  if (!std::filesystem::exists(path)) {
    throw Failure(ExitCode::not_found,
                  fmt::format("there is no cluster in {}; `seawall cluster up --dir {}` makes one",
                              directory, directory));
  }
  boost::system::error_code error;
  const boost::json::value json = boost::json::parse(read_file(path), error);
  if (error) refuse(path, error.message());
  return cluster_from_json(json, directory);
}

void save_cluster(const ClusterRecord& cluster) {
  write_file(file_of(cluster.directory), json_text(to_json(cluster)));
}

void forget_cluster_files(const ClusterRecord& cluster) {
  std::error_code ignored;  // what is gone already is as good
  std::filesystem::remove(file_of(cluster.directory), ignored);
  std::filesystem::remove_all(cluster.run_directory, ignored);
}

const DaemonRecord& require_daemon(const ClusterRecord& cluster, const std::string& name) {
  const DaemonRecord* const daemon = cluster.find(name);
  if (daemon != nullptr) return *daemon;
  const auto near = nearest_word(name, cluster.names());
  throw Failure(ExitCode::not_found,
                fmt::format("the cluster in {} has no daemon \"{}\"; {}", cluster.directory, name,
                            near ? fmt::format("did you mean \"{}\"?", *near)
                                 : fmt::format("it has {}", fmt::join(cluster.names(), ", "))));
}

std::string choose_run_directory(const std::string& directory, const std::string& fallback_parent) {
  // The longest name that goes there, and the final zero of sun_path.
  constexpr std::size_t kNameMax = sizeof "/node-200.sock";
  std::string run = directory + "/run";
  if (run.size() + kNameMax <= sizeof(sockaddr_un::sun_path)) return run;
  std::string pattern = fallback_parent + "/seawall-XXXXXX";
  if (::mkdtemp(pattern.data()) == nullptr) {
    throw Failure(ExitCode::failed, fmt::format("no directory for sockets can be made as {}: {}",
                                                pattern, std::strerror(errno)));
  }
  return pattern;
}

ClusterRecord plan_cluster(const std::string& directory, const std::string& run_directory,
                           const std::string& pool_directory, const std::string& network,
                           std::size_t nodes) {
  const std::string prefix = network.substr(0, network.rfind('.'));
  ClusterRecord cluster;
  cluster.directory = directory;
  cluster.run_directory = run_directory;
  cluster.network = network;
  DaemonRecord controller;
  controller.name = "controller";
  controller.role = DaemonRole::controller;
  controller.address = fmt::format("{}.1:{}", prefix, kControllerPort);
  cluster.daemons.push_back(std::move(controller));
  for (std::size_t i = 1; i <= nodes; ++i) {
    DaemonRecord node;
    node.name = fmt::format("node-{}", i);
    node.address = fmt::format("{}.{}:{}", prefix, kFirstNodeHost + i - 1, kDataPort);
    node.pool = fmt::format("{}/{}", pool_directory, node.name);
    node.socket = fmt::format("{}/{}.sock", run_directory, node.name);
    cluster.daemons.push_back(std::move(node));
  }
  return cluster;
}

}  // namespace seawall::cli
