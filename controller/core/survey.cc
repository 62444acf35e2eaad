// Another controller on the same store: one that stood still, was replaced and woke up, or whose
// last commit landed after its successor had read the store. What it committed is the truth, and
// whoever is in touch with the nodes must carry it on: a pending epoch above all. So the versions
// in the store are looked at from time to time, and a record that is not the known one is read
// again, as after a conflict.
#include "controller/core/core.h"
#include "engine/base/mutant.h"

namespace seawall::controller {

void Core::on(const input::Surveyed& input, Instant now, Outputs& out) {
  if (!input.ok || MUTANT(M160)) return;
  for (const auto& [id, version] : input.versions) {
    const auto at = volumes_.find(id);
    const bool known = at != volumes_.end() && at->second.exists;
    if (!known || at->second.record.version() != version) read_again(id, now, out);
  }
  for (const auto& [id, volume] : volumes_) {
    if (volume.exists && !input.versions.contains(id)) read_again(id, now, out);
  }
}

// The survey may be older than what is known by now; what is read is not.
void Core::read_again(VolumeId id, Instant now, Outputs& out) {
  Volume& volume = volumes_[id];
  if (volume.in_flight) return;
  volume.record.id = id;
  InFlight reading;
  reading.token = next_token_++;
  if (volume.exists) {
    reading.expected = volume.record.version();
    reading.next = volume.record;
  }
  reading.loading = true;
  reading.retry_at = now + options_.resend;
  out.push_back(output::Load{reading.token, id});
  volume.in_flight = std::move(reading);
}

}  // namespace seawall::controller
