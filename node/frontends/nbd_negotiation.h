// The NBD option phase as a pure machine: bytes of one option in, bytes of the answer out.
//
// Purpose: everything a client may haggle about before it reads and writes, testable without
// sockets. Life cycle: one per connection; client_flags() first, then option() per option, until
// Next says transmit or close. Thread: any. Ownership: the catalogue is borrowed.
// Errors: a protocol violation ends in Next::close; a bad option in an error reply. Bounds: an
// option is at most kOptionBytesMax long, and there are at most kOptionsMax of them.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "node/frontends/nbd_protocol.h"

namespace seawall::nbd {

struct ExportInfo {
  std::uint64_t size_bytes = 0;
  std::uint16_t flags = 0;  // without send_df, which depends on the connection
  BlockSizes sizes;
};

class Catalogue {
 public:
  virtual ~Catalogue() = default;
  virtual std::optional<ExportInfo> find(std::string_view name) const = 0;
  virtual std::vector<std::string> names() const = 0;  // sorted
};

class Negotiation {
 public:
  static constexpr unsigned kOptionsMax = 1024;
  enum class Next { more, transmit, close };

  explicit Negotiation(const Catalogue& catalogue) : catalogue_(catalogue) {}

  Next client_flags(std::uint32_t flags);
  // The option's data is whole. Answers are appended to `out`.
  Next option(const OptionHeader& header, std::span<const std::byte> data, Bytes& out);
  // The option's data was longer than kOptionBytesMax and was skipped.
  Next oversized(const OptionHeader& header, Bytes& out);

  bool structured() const { return structured_; }
  bool allocation() const { return structured_ && allocation_ && allocation_for_ == export_name_; }
  const std::string& export_name() const { return export_name_; }

 private:
  Next export_name(std::span<const std::byte> data, Bytes& out);
  Next info_or_go(const OptionHeader& header, std::span<const std::byte> data, Bytes& out);
  Next list(const OptionHeader& header, std::span<const std::byte> data, Bytes& out);
  Next meta_context(const OptionHeader& header, std::span<const std::byte> data, Bytes& out);
  Next fail(const OptionHeader& header, OptionReply error, std::string_view text, Bytes& out);
  std::uint16_t flags_of(const ExportInfo& info) const;

  const Catalogue& catalogue_;
  bool zeroes_ = true;
  bool structured_ = false;
  bool allocation_ = false;
  std::string allocation_for_;  // contexts are chosen for one export
  std::string export_name_;
  unsigned options_ = 0;
};

}  // namespace seawall::nbd
