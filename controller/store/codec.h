// Bytes of the records in a store: StoredVolume and StoredNode of proto/store.proto. decode()
// refuses (Errc::corrupt) what encode() does not write. Pure; any thread.
#pragma once

#include <string>

#include "controller/core/record.h"
#include "engine/base/result.h"

namespace seawall::controller {

std::string encode(const VolumeRecord& record);
Result<VolumeRecord> decode_volume(const std::string& bytes);
std::string encode(const NodeRecord& record);
Result<NodeRecord> decode_node(const std::string& bytes);

}  // namespace seawall::controller
