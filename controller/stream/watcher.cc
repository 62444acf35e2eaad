#include "controller/stream/watcher.h"

#include <utility>

namespace seawall::controller::stream {
namespace {

template <class Kind>
void emit(std::vector<Effect>& out, Kind effect) {
  out.emplace_back(std::in_place_type<Kind>, std::move(effect));
}

}  // namespace

void Watcher::say(FromWatcher message, std::vector<Effect>& out) {
  emit(out, effect::Say{std::move(message)});
}

void Watcher::connected(bool all, std::vector<Effect>& out) {
  if (stopped_) return;
  for (const auto& [id, volume] : volumes_) say(Claim{id, volume.last}, out);
  if (all) say(Follow{}, out);
}

void Watcher::claim(VolumeId volume, std::vector<Effect>& out) {
  if (stopped_) return;
  const auto at = volumes_.find(volume);
  say(Claim{volume, at == volumes_.end() ? Version{} : at->second.last}, out);
}

void Watcher::hear(const ToWatcher& message, std::vector<Effect>& out) {
  if (stopped_) return;
  std::visit([&](const auto& each) { on(each, out); }, message);
}

void Watcher::on(const Answer& message, std::vector<Effect>& out) {
  switch (message.ruling.verdict) {
    case Verdict::ok:
    case Verdict::stale: return;  // what follows says it all
    case Verdict::invalid:
      ++counts_.fences;
      emit(out, effect::Fence{message.volume, message.ruling.committed});
      return;  // the snapshot behind it replaces what was stored, also backwards
    case Verdict::old_epoch:
      volumes_.erase(message.volume);
      emit(out, effect::Forget{message.volume});
      claim(message.volume, out);
      return;
    case Verdict::not_found:
      if (volumes_.erase(message.volume) != 0) emit(out, effect::Forget{message.volume});
      return;
  }
}

void Watcher::on(const Snapshot& message, std::vector<Effect>& out) {
  ++counts_.snapshots;
  Watched& volume = volumes_[message.volume];
  volume.last = message.version;
  volume.state = message.state;
  emit(out, effect::Store{message.volume, volume});
  say(Acknowledge{message.volume, volume.last}, out);
}

void Watcher::on(const ChangeEvent& message, std::vector<Effect>& out) {
  const auto at = volumes_.find(message.volume);
  const Watched before = at == volumes_.end() ? Watched{} : at->second;
  if (message.revision <= before.last.revision) {
    ++counts_.doubled;
    say(Acknowledge{message.volume, before.last}, out);
    return;
  }
  if (message.revision.value() != before.last.revision.value() + 1) {
    ++counts_.gaps;
    claim(message.volume, out);
    return;
  }
  Watched now = before;
  now.last = Version{message.epoch, message.revision};
  const bool optional = !message.type.empty() && message.type.front() == optional_mark;
  if (optional) {
    ++counts_.ignored;
  } else if (!is_known_event(message.type) || message.epoch < before.last.epoch ||
             !fold(message.fields, now.state)) {
    stopped_ = true;
    emit(out, effect::Stop{"event " + std::to_string(message.revision.value()) + " \"" +
                               escaped(message.type) +
                               "\" of volume " + message.volume.to_hex().data() +
                               " is of a kind or form that this program does not know: use the "
                               "controller's version"});
    return;
  } else {
    ++counts_.folded;
  }
  volumes_[message.volume] = now;
  emit(out, effect::Store{message.volume, std::move(now)});
  say(Acknowledge{message.volume, volumes_[message.volume].last}, out);
}

}  // namespace seawall::controller::stream
