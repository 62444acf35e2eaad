#include "controller/core/validate.h"

#include <algorithm>
#include <optional>

namespace seawall::controller {
namespace {

Refusal invalid(const char* field, std::string value, std::string wanted) {
  return refuse(RefusalCode::invalid_argument, field, std::move(value), std::move(wanted));
}

bool is_alphanumeric(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

std::optional<Refusal> check_sizes(const CreateVolume& request) {
  const std::string size = std::to_string(request.size_bytes);
  const std::string unit = std::to_string(limits::block_bytes);
  if (request.size_bytes == 0 || request.size_bytes % limits::block_bytes != 0) {
    return invalid("size_bytes", size, "give a multiple of " + unit + ", at least " + unit);
  }
  if (request.size_bytes > limits::volume_bytes_max) {
    return invalid("size_bytes", size, "give at most " + std::to_string(limits::volume_bytes_max));
  }
  if (request.log_bytes != 0 &&
      (request.log_bytes < limits::log_bytes_min || request.log_bytes > limits::log_bytes_max ||
       request.log_bytes % log_bytes_unit != 0)) {
    return invalid("log_bytes", std::to_string(request.log_bytes),
                   "give a multiple of " + std::to_string(log_bytes_unit) + " from " +
                       std::to_string(limits::log_bytes_min) + " to " +
                       std::to_string(limits::log_bytes_max) + ", or 0 for the default");
  }
  if (request.io_timeout_ms != 0 &&
      (request.io_timeout_ms < io_timeout_ms_min || request.io_timeout_ms > io_timeout_ms_max)) {
    return invalid("io_timeout_ms", std::to_string(request.io_timeout_ms),
                   "give " + std::to_string(io_timeout_ms_min) + " to " +
                       std::to_string(io_timeout_ms_max) + ", or 0 for the default");
  }
  return std::nullopt;
}

std::optional<Refusal> check_replicas(std::uint32_t replicas, std::size_t nodes_alive) {
  if (nodes_alive == 0) {
    return refuse(RefusalCode::too_few_nodes, "replicas", std::to_string(replicas),
                  "no node is alive, start one first");
  }
  if (replicas > nodes_alive) {
    return refuse(RefusalCode::too_few_nodes, "replicas", std::to_string(replicas),
                  "give at most " + std::to_string(nodes_alive) +
                      ", the number of nodes that are alive, or start more nodes");
  }
  return std::nullopt;
}

}  // namespace

Result<PolicyChoice, Refusal> choose_policy(const std::string& policy,
                                            std::optional<std::uint32_t> min_in_sync,
                                            std::uint32_t replicas) {
  const auto members = static_cast<std::uint8_t>(replicas);
  const auto usual = static_cast<std::uint8_t>(std::max(1, members - 1));
  const std::string word = !policy.empty() ? policy : (members >= 3 ? "quorum" : "in-sync");
  PolicyChoice choice;
  if (word == "quorum") {
    choice.policy = Policy::quorum;
  } else if (word == "in-sync" || word == "all" || word == "best-effort") {
    choice.policy = Policy::in_sync;
    choice.min_in_sync = word == "all" ? members : (word == "in-sync" ? usual : std::uint8_t{1});
  } else {
    return invalid("policy", word, "give quorum, in-sync, all or best-effort");
  }
  if (!min_in_sync) return choice;
  if (word != "in-sync") {
    return invalid("min_in_sync", std::to_string(*min_in_sync),
                   "leave it out: only the policy in-sync takes it, and this is " + word);
  }
  if (*min_in_sync < 1 || *min_in_sync > members) {
    return invalid("min_in_sync", std::to_string(*min_in_sync),
                   "give 1 to " + std::to_string(members) + ", the number of replicas");
  }
  choice.min_in_sync = static_cast<std::uint8_t>(*min_in_sync);
  return choice;
}

std::uint64_t default_log_bytes(std::uint64_t size_bytes) {
  const std::uint64_t share = size_bytes / limits::log_share_of_volume;
  const std::uint64_t bounded = std::clamp(share, limits::log_bytes_min, limits::log_bytes_max);
  return bounded / log_bytes_unit * log_bytes_unit;
}

bool is_valid_name(const std::string& name) {
  if (name.empty() || name.size() > limits::volume_name_bytes_max) return false;
  if (!is_alphanumeric(name.front()) || !is_alphanumeric(name.back())) return false;
  return std::all_of(name.begin(), name.end(),
                     [](char c) { return is_alphanumeric(c) || c == '-' || c == '_' || c == '.'; });
}

Result<VolumeSpec, Refusal> validate_create(const CreateVolume& request, std::size_t nodes_alive) {
  if (!is_valid_name(request.name)) {
    return invalid("name", request.name,
                   "give 1 to " + std::to_string(limits::volume_name_bytes_max) +
                       " letters, digits, '.', '_' or '-', a letter or digit first and last");
  }
  if (auto refusal = check_sizes(request)) return *std::move(refusal);
  VolumeSpec spec;
  spec.name = request.name;
  spec.size = BlockCount(request.size_bytes / limits::block_bytes);
  spec.log_bytes =
      request.log_bytes != 0 ? request.log_bytes : default_log_bytes(request.size_bytes);
  spec.io_timeout_ms = request.io_timeout_ms != 0 ? request.io_timeout_ms : io_timeout_ms_default;
  const auto usual = static_cast<std::uint32_t>(std::clamp<std::size_t>(nodes_alive, 1, 3));
  spec.replicas = request.replicas != 0 ? request.replicas : usual;
  // What is wrong whatever the cluster looks like comes before what a further node would cure.
  if (spec.replicas > limits::members_max) {
    return invalid("replicas", std::to_string(spec.replicas),
                   "give 1 to " + std::to_string(limits::members_max));
  }
  const Result<PolicyChoice, Refusal> choice =
      choose_policy(request.policy, request.min_in_sync, spec.replicas);
  if (!choice) return choice.error();
  spec.policy = choice->policy;
  spec.min_in_sync = choice->min_in_sync;
  if (request.write_cache == "none") {
    spec.write_cache = WriteCache::none;
  } else if (!request.write_cache.empty() && request.write_cache != "writeback") {
    return invalid("write_cache", request.write_cache, "give writeback or none");
  }
  if (auto refusal = check_replicas(spec.replicas, nodes_alive)) {
    return *std::move(refusal);
  }
  return spec;
}

}  // namespace seawall::controller
