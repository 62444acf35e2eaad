#include "controller/stream/convert.h"

#include "proto/convert.h"

namespace seawall::controller::stream {
namespace {

void put(VolumeId volume, const Version& version, v1::StreamPosition& out) {
  proto::to_proto(volume, *out.mutable_volume());
  out.set_epoch(version.epoch.value());
  out.set_revision(version.revision.value());
}

VolumeId volume_of(const v1::StreamPosition& in) {
  VolumeId id;
  proto::from_proto(in.volume(), id);
  return id;
}

Version version_of(const v1::StreamPosition& in) {
  return Version{Epoch(in.epoch()), Revision(in.revision())};
}

}  // namespace

void to_proto(const FromWatcher& in, v1::WatchRequest& out) {
  if (const auto* claim = std::get_if<Claim>(&in)) {
    put(claim->volume, claim->last, *out.mutable_claim());
  } else if (const auto* stored = std::get_if<Acknowledge>(&in)) {
    put(stored->volume, stored->last, *out.mutable_acknowledge());
  } else {
    out.set_follow(true);
  }
}

bool from_proto(const v1::WatchRequest& in, FromWatcher& out) {
  switch (in.kind_case()) {
    case v1::WatchRequest::kClaim:
      out = Claim{volume_of(in.claim()), version_of(in.claim())};
      return true;
    case v1::WatchRequest::kAcknowledge:
      out = Acknowledge{volume_of(in.acknowledge()), version_of(in.acknowledge())};
      return true;
    case v1::WatchRequest::kFollow: out = Follow{}; return in.follow();
    case v1::WatchRequest::KIND_NOT_SET: return false;
  }
  return false;
}

void to_proto(const ToWatcher& in, v1::WatchReply& out) {
  if (const auto* answer = std::get_if<Answer>(&in)) {
    v1::StreamAnswer& said = *out.mutable_answer();
    put(answer->volume, answer->ruling.committed, *said.mutable_committed());
    said.set_verdict(static_cast<v1::StreamVerdict>(answer->ruling.verdict));
    said.set_next(answer->ruling.next.value());
  } else if (const auto* snapshot = std::get_if<Snapshot>(&in)) {
    v1::StreamSnapshot& said = *out.mutable_snapshot();
    put(snapshot->volume, snapshot->version, *said.mutable_position());
    said.set_gone(snapshot->gone);
    for (const auto& [key, value] : snapshot->state) (*said.mutable_state())[key] = value;
  } else {
    const ChangeEvent& event = std::get<ChangeEvent>(in);
    v1::StreamEvent& said = *out.mutable_event();
    put(event.volume, Version{event.epoch, event.revision}, *said.mutable_position());
    said.set_type(event.type);
    said.set_fields(event.fields);
  }
}

bool from_proto(const v1::WatchReply& in, ToWatcher& out) {
  switch (in.kind_case()) {
    case v1::WatchReply::kAnswer: {
      const v1::StreamAnswer& said = in.answer();
      if (said.verdict() < v1::STREAM_VERDICT_OK || said.verdict() > v1::STREAM_VERDICT_NOT_FOUND) {
        return false;
      }
      out = Answer{volume_of(said.committed()),
                   Ruling{static_cast<Verdict>(said.verdict()), version_of(said.committed()),
                          Revision(said.next())}};
      return true;
    }
    case v1::WatchReply::kSnapshot: {
      Snapshot snapshot;
      snapshot.volume = volume_of(in.snapshot().position());
      snapshot.version = version_of(in.snapshot().position());
      snapshot.gone = in.snapshot().gone();
      for (const auto& [key, value] : in.snapshot().state()) snapshot.state[key] = value;
      out = std::move(snapshot);
      return true;
    }
    case v1::WatchReply::kEvent: {
      const Version version = version_of(in.event().position());
      out = ChangeEvent{volume_of(in.event().position()), version.epoch, version.revision,
                        in.event().type(), in.event().fields()};
      return true;
    }
    case v1::WatchReply::KIND_NOT_SET: return false;
  }
  return false;
}

}  // namespace seawall::controller::stream
