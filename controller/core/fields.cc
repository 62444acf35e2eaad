#include "controller/core/fields.h"

#include <algorithm>
#include <array>
#include <optional>
#include <vector>

namespace seawall::controller {
namespace {

constexpr std::array known_events = {
    std::string_view("assigned"),         std::string_view("attached"),
    std::string_view("change_cancelled"), std::string_view("changing"),
    std::string_view("change_failed"),    std::string_view("configured"),
    std::string_view("create_failed"),    std::string_view("created"),
    std::string_view("deleted"),          std::string_view("deleting"),
    std::string_view("detached"),         std::string_view("detached_by_force"),
    std::string_view("endpoints"),        std::string_view("fencing"),
    std::string_view("force_ordered"),    std::string_view("force_refused"),
    std::string_view("move_given_up"),    std::string_view("moving"),
    std::string_view("ready"),            std::string_view("replacing"),
    std::string_view("replicas_deleted"), std::string_view("retrying"),
    std::string_view("replica_failing"),  std::string_view("replica_mended"),
};

constexpr char hex_digits[] = "0123456789ABCDEF";

bool is_plain(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
         c == '_' || c == ':' || c == '/' || c == ',' || c == '-';
}

int digit_of(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::optional<std::string> unescaped(std::string_view text) {
  std::string plain;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      if (!is_plain(text[i])) return std::nullopt;
      plain.push_back(text[i]);
      continue;
    }
    if (i + 2 >= text.size()) return std::nullopt;
    const int high = digit_of(text[i + 1]);
    const int low = digit_of(text[i + 2]);
    if (high < 0 || low < 0) return std::nullopt;
    plain.push_back(static_cast<char>(high * 16 + low));
    i += 2;
  }
  return plain;
}

std::string list_of(const ReplicaSet& replicas) {
  std::string text;
  for (const ReplicaId replica : replicas) {
    if (!text.empty()) text += ',';
    text += std::to_string(replica.value());
  }
  return text;
}

void put_configuration(const Configuration& config, const std::string& prefix,
                       VolumeFields& out) {
  out[prefix + "policy"] = word_of(config.policy);
  out[prefix + "min_in_sync"] = std::to_string(config.min_in_sync);
  out[prefix + "write_cache"] = word_of(config.write_cache);
  out[prefix + "members"] = list_of(config.members);
  out[prefix + "in_sync"] = list_of(config.in_sync);
}

std::string text_of(const Position& position) {
  return std::to_string(position.term.value()) + ":" + std::to_string(position.lsn.value());
}

void put_force(const ForceOrder& order, const std::string& prefix, VolumeFields& out) {
  out[prefix + "who"] = order.who;
  out[prefix + "why"] = order.why;
  out[prefix + "at_ms"] = std::to_string(order.asked_ms);
  out[prefix + "members"] = list_of(order.members);
  if (order.old_primary_stopped) out[prefix + "old_primary_stopped"] = "1";
}

// What an operator has ordered, and what came of the last force.
void put_orders(const VolumeRecord& record, VolumeFields& out) {
  if (record.move) out["moving_to"] = std::to_string(record.move->target.value());
  if (record.force) put_force(*record.force, "force.", out);
  for (const ReplicaRecord& replica : record.left_out) {
    out["left_out." + std::to_string(replica.id.value())] = std::to_string(replica.node.value());
  }
  if (!record.forced) return;
  put_force(record.forced->order, "forced.", out);
  out["forced.epoch"] = std::to_string(record.forced->epoch.value());
  out["forced.lost_after"] = text_of(record.forced->kept);
  if (record.forced->known) out["forced.known_upto"] = text_of(*record.forced->known);
}

struct Token {
  std::string key;
  std::optional<std::string> value;  // absent: the key goes
};

std::optional<Token> token_of(std::string_view word) {
  if (word.empty()) return std::nullopt;
  if (word.front() == '-') {
    if (word.size() == 1 || word.find('=') != std::string_view::npos) return std::nullopt;
    return Token{std::string(word.substr(1)), std::nullopt};
  }
  const std::size_t equals = word.find('=');
  if (equals == std::string_view::npos || equals == 0) return std::nullopt;
  std::optional<std::string> value = unescaped(word.substr(equals + 1));
  if (!value) return std::nullopt;
  return Token{std::string(word.substr(0, equals)), std::move(value)};
}

}  // namespace

const char* word_of(VolumeState state) {
  switch (state) {
    case VolumeState::creating: return "creating";
    case VolumeState::ready: return "ready";
    case VolumeState::deleting: return "deleting";
  }
  return "unknown";
}

const char* word_of(Policy policy) { return policy == Policy::quorum ? "quorum" : "in-sync"; }

const char* word_of(WriteCache cache) {
  return cache == WriteCache::none ? "none" : "writeback";
}

bool is_known_event(std::string_view type) {
  return std::find(known_events.begin(), known_events.end(), type) != known_events.end();
}

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (is_plain(c)) {
      out.push_back(c);
      continue;
    }
    const auto byte = static_cast<unsigned char>(c);
    out.push_back('%');
    out.push_back(hex_digits[byte >> 4]);
    out.push_back(hex_digits[byte & 15]);
  }
  return out;
}

VolumeFields fields_of(const VolumeRecord& record) {
  VolumeFields out;
  out["name"] = record.name;
  out["incarnation"] = record.incarnation.to_hex().data();
  out["state"] = word_of(record.state);
  if (!record.reason.empty()) out["reason"] = record.reason;
  out["epoch"] = std::to_string(record.epoch.value());
  if (record.pending) out["pending"] = std::to_string(record.pending->value());
  put_configuration(record.config, "", out);
  if (record.wish) put_configuration(*record.wish, "wish.", out);
  out["size_blocks"] = std::to_string(record.size.value());
  out["log_bytes"] = std::to_string(record.log_bytes);
  out["io_timeout_ms"] = std::to_string(record.io_timeout_ms);
  for (const ReplicaRecord& replica : record.retired) {
    out["retired." + std::to_string(replica.id.value())] = std::to_string(replica.node.value());
  }
  for (const ReplicaRecord& replica : record.replicas) {
    out["replica." + std::to_string(replica.id.value())] =
        std::to_string(replica.node.value()) + "," + std::to_string(replica.endpoint.value()) +
        "," + replica.address;
    if (!replica.trouble.empty()) {
      out["trouble." + std::to_string(replica.id.value())] = replica.trouble;
    }
    if (replica.word > 0) {
      out["word." + std::to_string(replica.id.value())] = std::to_string(replica.word);
    }
  }
  out["primary"] = std::to_string(record.primary.value());
  out["position"] = text_of(record.winner_position);
  if (record.after_power_loss) out["after_power_loss"] = "1";
  put_orders(record, out);
  out["last_generation"] = std::to_string(record.last_generation.value());
  for (const AttachmentRecord& attachment : record.attachments) {
    out["attachment." + std::to_string(attachment.generation.value())] =
        std::to_string(attachment.node.value());
  }
  return out;
}

std::string difference(const VolumeFields& before, const VolumeFields& after,
                       std::string_view remark) {
  std::string text;
  const auto add = [&text](const std::string& word) {
    if (!text.empty()) text += ' ';
    text += word;
  };
  auto old = before.begin();
  auto now = after.begin();
  while (old != before.end() || now != after.end()) {
    if (now == after.end() || (old != before.end() && old->first < now->first)) {
      add("-" + old->first);
      ++old;
      continue;
    }
    const bool is_new = old == before.end() || now->first < old->first;
    if (is_new || old->second != now->second) add(now->first + "=" + escaped(now->second));
    if (!is_new) ++old;
    ++now;
  }
  if (!remark.empty()) add(".remark=" + escaped(remark));
  return text;
}

bool fold(std::string_view text, VolumeFields& state) {
  std::vector<Token> tokens;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(' '), text.size());
    std::optional<Token> token = token_of(text.substr(0, end));
    if (!token) return false;
    tokens.push_back(std::move(*token));
    if (end == text.size()) break;
    text.remove_prefix(end + 1);
    if (text.empty()) return false;  // a space that ends it
  }
  for (Token& token : tokens) {
    if (token.key.front() == '.') continue;
    if (token.value) {
      state[token.key] = std::move(*token.value);
    } else {
      state.erase(token.key);
    }
  }
  return true;
}

}  // namespace seawall::controller
