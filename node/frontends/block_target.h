// What a front end talks to: a block device that answers later.
//
// Purpose: NBD (and later ublk, FUSE) translate their protocol into these requests; in production
// an adapter passes them to runtime::Attachment, in tests a device in memory answers.
// Thread: the shard's. Ownership: a request is embedded in its owner and stays alive until done
// ran, which happens exactly once and never inside submit(). A write's slot, with its CRCs filled,
// stays the owner's; a read's slot is set at done, and its reference is then the owner's.
// Units: blocks of 4 KiB. Errors: BlockRequest::result; what can be retried was retried below.
#pragma once

#include <cstdint>

#include "engine/client.h"

namespace seawall::frontends {

struct BlockRequest {
  ClientOp op = ClientOp::read;
  bool fua = false;
  Lba lba;
  BlockCount blocks;
  Slot slot = no_slot;
  ClientStatus result = ClientStatus::ok;
  void (*done)(BlockRequest&) = nullptr;
  void* owner = nullptr;
  std::uint64_t scratch[4] = {};  // for the implementation
};

class BlockTarget {
 public:
  virtual ~BlockTarget() = default;
  virtual BlockCount size() const = 0;
  // No read or write may be longer; the front end splits.
  virtual BlockCount piece_max() const = 0;
  virtual void submit(BlockRequest& request) = 0;
};

}  // namespace seawall::frontends
