// AttachmentFile: what one attachment must remember beyond its daemon, in a file mapped into
// memory.
//
// Purpose: runtime::AttachmentState on tmpfs. The file says what was served where (so that the next
// daemon serves it again by itself), the position that has been seen, the connection number and the
// requests without an answer. Crash contract: each part lies in two slots with sequence and CRC32C
// and the older one is overwritten, so a kill at any instruction leaves a valid state, which holds
// every call that returned; a file of another boot is not used, for it may lack what was in memory.
// Life cycle: create() for a new generation, open() for what an earlier daemon left; forget()
// removes it (the attachment has ended), destruction keeps it. Thread: the shard's. Ownership: file
// and mapping. Bounds: `requests_max` open requests, addresses of all members; one fixed size.
// Errors: a sentence's worth of Error; the file is allocated whole, so a full tmpfs refuses at
// creation and never later.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "node/runtime/attachment_state.h"
#include "wal/store.h"

namespace seawall::io {

using BootId = Id128<wal::BootTag>;

// What was served, and where: enough to serve it again.
struct ServedExport {
  control::AttachmentView view;
  std::string socket_path;
  std::string export_name;
};

class AttachmentFile final : public runtime::AttachmentState {
 public:
  static constexpr std::size_t requests_max = 256;

  // Both run on any thread, before the file has a shard. `directory` is made when it is missing.
  static Result<std::unique_ptr<AttachmentFile>> create(const std::string& directory,
                                                        const BootId& boot,
                                                        const ServedExport& served);
  static Result<std::unique_ptr<AttachmentFile>> open(const std::string& path, const BootId& boot);
  // Paths of all files that a daemon left there.
  static std::vector<std::string> list(const std::string& directory);

  ~AttachmentFile() override;
  AttachmentFile(const AttachmentFile&) = delete;
  AttachmentFile& operator=(const AttachmentFile&) = delete;

  [[nodiscard]] ServedExport served() const;
  [[nodiscard]] const std::string& path() const { return path_; }
  // Of the earlier life: asked, and never answered.
  [[nodiscard]] std::vector<runtime::OpenRequest> open_requests() const;
  void forget();

  // --- AttachmentState ---
  [[nodiscard]] bool continues() const override { return continues_; }
  runtime::AttachmentMemory load() override;
  void on_view(const control::AttachmentView& view) override;
  void on_connection(ConnectionNumber connection) override;
  void on_request(const runtime::OpenRequest& request) override;
  void on_finished(RequestNumber request) override;
  void on_seen(const Position& seen, Epoch proved_by) override;

 private:
  struct Layout;

  AttachmentFile(std::string path, Layout* layout, bool continues);
  void store_memory();

  std::string path_;
  Layout* layout_;
  const bool continues_;
  runtime::AttachmentMemory memory_;
  std::uint64_t sequence_ = 0;        // of the memory slots
  std::uint64_t served_sequence_ = 0;
};

}  // namespace seawall::io
