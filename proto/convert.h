// Conversions between the messages of control.proto and the structs of control_port.h, both ways.
//
// Purpose: the gRPC edges of controller and node convert here and nowhere else. to_proto() always
// succeeds; from_proto() refuses (false, with `out` in no particular state) what no honest sender
// writes: sets beyond their limit or out of order, unknown enumerators, sizes out of range.
// Thread: any. Texts of reasons become static: at most `reasons_max` different ones are kept, later
// ones read as "other".
#pragma once

#include <cstddef>

#include "node/runtime/control_port.h"
#include "proto/control.pb.h"

namespace seawall::proto {

inline constexpr std::size_t reasons_max = 1024;
inline constexpr std::size_t reason_bytes_max = 256;

void to_proto(const Configuration& in, v1::Configuration& out);
bool from_proto(const v1::Configuration& in, Configuration& out);

void to_proto(const ReplicaFacts& in, v1::ReplicaFacts& out);
bool from_proto(const v1::ReplicaFacts& in, ReplicaFacts& out);

void to_proto(const ReplicaStatus& in, v1::ReplicaStatus& out);
bool from_proto(const v1::ReplicaStatus& in, ReplicaStatus& out);

void to_proto(const control::AttachmentView& in, v1::AttachmentView& out);
bool from_proto(const v1::AttachmentView& in, control::AttachmentView& out);

void to_proto(const control::ToNode& in, v1::ControllerMessage& out);
bool from_proto(const v1::ControllerMessage& in, control::ToNode& out);

void to_proto(const control::FromNode& in, v1::NodeMessage& out);
bool from_proto(const v1::NodeMessage& in, control::FromNode& out);

template <class Tag>
void to_proto(const Id128<Tag>& in, v1::Id128& out) {
  out.set_hi(in.hi);
  out.set_lo(in.lo);
}
template <class Tag>
void from_proto(const v1::Id128& in, Id128<Tag>& out) {
  out = Id128<Tag>{in.hi(), in.lo()};
}

}  // namespace seawall::proto
