// Messages of the control stream as protobuf and back. Pure; any thread. from_proto() answers false
// for what to_proto() does not write.
#pragma once

#include "controller/stream/message.h"
#include "proto/control.pb.h"

namespace seawall::controller::stream {

void to_proto(const FromWatcher& in, v1::WatchRequest& out);
[[nodiscard]] bool from_proto(const v1::WatchRequest& in, FromWatcher& out);
void to_proto(const ToWatcher& in, v1::WatchReply& out);
[[nodiscard]] bool from_proto(const v1::WatchReply& in, ToWatcher& out);

}  // namespace seawall::controller::stream
