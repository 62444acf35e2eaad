// Feed: one watcher's stream at the controller.
//
// Purpose: answers claims and sends events from the store, in order and without a gap, at the
// watcher's own speed: at most `window` messages are out without an acknowledgement, nothing is
// queued beside them, so a slow watcher costs no memory; when compaction has overtaken it, it is
// told so (STALE, with the full state) and goes on behind that.
// Life cycle: made with the stream, gone with it; nothing outlives it, a reconnect claims anew.
// Thread: the store's. Ownership: the store outlives it. Errors: a store that cannot be read ends
// the feed (pump() answers false), the watcher reconnects.
#pragma once

#include <cstddef>
#include <map>
#include <set>
#include <vector>

#include "controller/stream/message.h"

namespace seawall::controller::stream {

class Feed {
 public:
  static constexpr std::size_t window = 256;      // messages that wait for acknowledgement
  static constexpr std::size_t claims_max = 65'536;  // volumes on one stream

  explicit Feed(Store& store) : store_(store) {}

  [[nodiscard]] bool hear(const FromWatcher& message);  // false: it breaks a bound, end the stream
  void note_commit(VolumeId volume);                    // of whichever volume has changed
  [[nodiscard]] bool pump(std::vector<ToWatcher>& out);

 private:
  struct Cursor {
    Version claim;
    bool judged = false;
    Revision sent;   // last revision that went out
    Revision acked;  // up to here it is stored
    std::size_t out = 0;  // messages that wait for acknowledgement
  };

  [[nodiscard]] bool judge_claim(VolumeId id, Cursor& cursor, std::vector<ToWatcher>& out);
  [[nodiscard]] bool send_snapshot(VolumeId id, Cursor& cursor, std::vector<ToWatcher>& out);
  [[nodiscard]] bool send_events(VolumeId id, Cursor& cursor, std::vector<ToWatcher>& out);
  [[nodiscard]] bool claim_the_rest();
  void acknowledge(const Acknowledge& message);

  Store& store_;
  std::map<VolumeId, Cursor> cursors_;
  std::set<VolumeId> due_;  // may have something to send
  bool follows_ = false;
  std::size_t out_ = 0;  // over all cursors
};

}  // namespace seawall::controller::stream
