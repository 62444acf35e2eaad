#include "sim/trace.h"

#include <algorithm>
#include <array>
#include <cinttypes>
#include <cstdio>

#include "engine/base/chain.h"

namespace seawall::sim {
namespace {

struct Name {
  What what;
  const char* text;
  std::array<const char*, 4> fields;  // nullptr: unused
};

constexpr std::array names = {
    Name{What::task, "task", {}},
    Name{What::start, "start", {"process"}},
    Name{What::stop, "stop", {"process"}},
    Name{What::crash, "crash", {"process"}},
    Name{What::power_loss, "power-loss", {}},
    Name{What::pause, "pause", {"for_us"}},
    Name{What::resume, "resume", {}},
    Name{What::disk_submit, "disk-submit", {"op", "kind", "offset", "bytes"}},
    Name{What::disk_done, "disk-done", {"op", "kind", "result"}},
    Name{What::disk_crash, "disk-crash", {"in_flight", "seed"}},
    Name{What::disk_hung, "disk-hung", {"hangs"}},
    Name{What::blocking, "blocking-work", {"for_us"}},
    Name{What::dial, "dial", {"stream", "to"}},
    Name{What::accept, "accept", {"stream", "from"}},
    Name{What::connected, "connected", {"stream", "to"}},
    Name{What::frame_sent, "frame-sent", {"stream", "type", "sequence", "bytes"}},
    Name{What::bytes, "bytes", {"stream", "side", "bytes", "digest"}},
    Name{What::frame, "frame", {"stream", "type", "sequence", "bytes"}},
    Name{What::reset, "reset", {"stream", "lost_bytes"}},
    Name{What::link_closed, "link-closed", {"stream"}},
    Name{What::partition, "partition", {"from", "to"}},
    Name{What::heal, "heal", {"from", "to"}},
    Name{What::to_node, "control-to-node", {"kind", "epoch", "revision"}},
    Name{What::from_node, "control-from-node", {"kind", "epoch"}},
    Name{What::heartbeat, "heartbeat", {"sequence"}},
    Name{What::control_down, "control-link-down", {}},
    Name{What::control_up, "control-link-up", {}},
    Name{What::controller_crash, "controller-crash", {}},
    Name{What::controller_start, "controller-start", {}},
    Name{What::controller_pause, "controller-pause", {}},
    Name{What::controller_wake, "controller-wake", {}},
    Name{What::move, "move", {"address_of"}},
    Name{What::pool_swapped, "pool-swapped", {"with"}},
    Name{What::pool_cloned, "replica-cloned", {"from", "replica"}},
    Name{What::pool_restored, "older-copy-restored", {"replica"}},
    Name{What::wish, "wish", {"volume", "granted"}},
    Name{What::client_begin, "client-begin", {"op", "kind", "lba", "blocks"}},
    Name{What::client_end, "client-end", {"op", "status", "digest"}},
    Name{What::client_reborn, "client-reborn", {"attachment"}},
    Name{What::timer, "timer", {}},
    Name{What::heal_all, "heal-all", {}},
    Name{What::verdict, "verdict", {"code"}},
    Name{What::canary, "canary", {"value"}},
    Name{What::disk_executed, "disk-executed", {"kind"}},
    Name{What::change_begins, "disk-change", {"of"}},
    Name{What::change_done, "disk-changed", {"of"}},
    Name{What::frame_leaves, "frame-leaves", {"stream", "type", "sequence"}},
    Name{What::node_says, "control-from-node-leaves", {"kind"}},
    Name{What::controller_says, "control-to-node-leaves", {"to", "kind"}},
    Name{What::controller_asked, "controller-asked", {"request"}},
    Name{What::controller_answers, "controller-answers", {"request"}},
    Name{What::commit_asked, "commit-asked", {"token"}},
    Name{What::commit_landed, "commit-landed", {"token", "ok"}},
    Name{What::commit_answered, "commit-answered", {"token"}},
    Name{What::record_loaded, "record-loaded", {"token"}},
    Name{What::device_asked, "device-asked", {"op"}},
    Name{What::device_answers, "device-answers", {"op"}},
    Name{What::scene, "scene", {"begins"}},
    Name{What::whole_again, "whole-again", {}},
    Name{What::note, "note", {}},
};

const Name& name_of(What what) {
  for (const Name& name : names) {
    if (name.what == what) return name;
  }
  return names.back();
}

}  // namespace

bool is_boundary(What what) {
  switch (what) {
    case What::disk_submit:
    case What::disk_executed:
    case What::change_begins:
    case What::change_done:
    case What::frame_leaves:
    case What::frame:
    case What::node_says:
    case What::to_node:
    case What::controller_says:
    case What::from_node:
    case What::heartbeat:
    case What::controller_asked:
    case What::controller_answers:
    case What::commit_asked:
    case What::commit_landed:
    case What::commit_answered:
    case What::record_loaded:
    case What::device_asked:
    case What::device_answers: return true;
    default: return false;
  }
}

std::string render(const TraceRecord& record) {
  std::array<char, 64> head{};
  std::snprintf(head.data(), head.size(), "%6" PRIu64 ".%06" PRIu64 " ", record.time / seconds,
                record.time % seconds);
  std::string line = head.data();
  line += record.node == 0 ? "-- " : "n" + std::to_string(record.node) + " ";
  const Name& name = name_of(record.what);
  line += name.text;
  const std::array values = {record.a, record.b, record.c, record.d};
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (name.fields[i] == nullptr) continue;
    line += std::string(" ") + name.fields[i] + "=" + std::to_string(values[i]);
  }
  return line;
}

std::string Trace::line_text(const Line& line) {
  const std::string event = "#" + std::to_string(line.order) + " " + render(line.record);
  return line.text.empty() ? event : event + " " + line.text;
}

void Trace::add(const TraceRecord& record) {
  if (closed_) return;
  hash_ = mix64(hash_, record.time);
  hash_ = mix64(hash_, (static_cast<std::uint64_t>(record.what) << 32) | record.node);
  hash_ = mix64(mix64(mix64(mix64(hash_, record.a), record.b), record.c), record.d);
  if (reference_ != nullptr && difference_.empty()) compare(record);
  if (++count_ % checkpoint_every == 0) checkpoints_.push_back(hash_);
  put(Line{record, {}, count_});
  if (on_boundary_) on_boundary_(record);
}

void Trace::note(Micros time, std::uint32_t node, std::string text) {
  if (details_ && !closed_) put(Line{TraceRecord{time, What::note, node}, std::move(text), count_});
}

void Trace::put(Line line) {
  if (live_) std::printf("%s\n", line_text(line).c_str());
  if (keep_all_ || lines_.size() < tail_max) {
    lines_.push_back(std::move(line));
  } else {
    lines_[put_ % tail_max] = std::move(line);
  }
  ++put_;
}

void Trace::compare(const TraceRecord& record) {
  const bool there = count_ < reference_->lines_.size();
  if (there && reference_->lines_[count_].record == record) return;
  difference_ = "event " + std::to_string(count_) + ": first run [" +
                (there ? line_text(reference_->lines_[count_]) : "nothing, it had ended") +
                "], second run [" + render(record) + "]";
}

std::vector<std::string> Trace::tail(std::size_t lines) const {
  std::vector<std::string> out;
  const std::size_t kept = lines_.size();
  for (std::size_t i = kept; i-- > 0 && out.size() < lines;) {
    const std::size_t place = keep_all_ || put_ <= tail_max ? i : (put_ + i) % tail_max;
    const Line& line = lines_[place];
    if (line.record.what != What::heartbeat) out.push_back(line_text(line));
  }
  std::reverse(out.begin(), out.end());
  return out;
}

}  // namespace seawall::sim
