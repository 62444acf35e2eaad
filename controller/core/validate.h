// Validation: a user's words into a VolumeSpec, or a Refusal that names field, value and remedy.
//
// Pure. Policies as users know them: quorum; in-sync; all = in-sync with min_in_sync n; best-effort
// = in-sync with min_in_sync 1. Default: quorum for three members and more, else in-sync.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "controller/core/request.h"
#include "engine/base/limits.h"
#include "engine/base/result.h"

namespace seawall::controller {

inline constexpr std::uint64_t io_timeout_ms_default = 30'000;
inline constexpr std::uint64_t io_timeout_ms_min = 1'000;
inline constexpr std::uint64_t io_timeout_ms_max = 3'600'000;
inline constexpr std::uint64_t log_bytes_unit = limits::segments_per_log * limits::block_bytes;

struct VolumeSpec {
  std::string name;
  BlockCount size;
  std::uint64_t log_bytes = 0;
  std::uint64_t io_timeout_ms = 0;
  std::uint32_t replicas = 0;
  Policy policy = Policy::quorum;
  std::uint8_t min_in_sync = 1;
  WriteCache write_cache = WriteCache::writeback;
};

struct PolicyChoice {
  Policy policy = Policy::quorum;
  std::uint8_t min_in_sync = 1;
};

// What a policy's name and, for in-sync, its least number mean for so many replicas (1 to
// limits::members_max). Empty: by their number.
Result<PolicyChoice, Refusal> choose_policy(const std::string& policy,
                                            std::optional<std::uint32_t> min_in_sync,
                                            std::uint32_t replicas);

// The log that a volume of this size gets when nobody says otherwise.
std::uint64_t default_log_bytes(std::uint64_t size_bytes);

// 1 to 63 of a-z 0-9 . _ - (either case), the first and last a letter or digit.
bool is_valid_name(const std::string& name);

// `nodes_alive` bounds the replicas: no two of a volume share a node.
Result<VolumeSpec, Refusal> validate_create(const CreateVolume& request, std::size_t nodes_alive);

}  // namespace seawall::controller
