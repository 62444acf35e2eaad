// A client's side of the NBD protocol: options, then requests, as the server cuts them from the
// stream. Answers stay bounded, and nothing is read beyond the message.
#include <cstring>
#include <string>

#include "engine/base/check.h"
#include "node/frontends/nbd_negotiation.h"
#include "tests/fuzz/target.h"

namespace seawall::fuzz {
namespace {

using namespace nbd;

class Two final : public Catalogue {
 public:
  std::optional<ExportInfo> find(std::string_view name) const override {
    if (name != "data" && !name.empty()) return std::nullopt;
    ExportInfo info;
    info.size_bytes = 1 << 20;
    return info;
  }
  std::vector<std::string> names() const override { return {"data", "other"}; }
};

constexpr std::size_t answer_max = 256 * 1024;  // to one option

// Returns what is left of the input, when the client got as far as requests.
Input options(Input input, bool& transmits) {
  static const Two catalogue;
  Negotiation negotiation(catalogue);
  if (input.size() < kClientFlagsBytes) return {};
  if (negotiation.client_flags(read_u32(input)) == Negotiation::Next::close) return {};
  input = input.subspan(kClientFlagsBytes);
  while (input.size() >= kOptionHeaderBytes) {
    OptionHeader header;
    if (!parse_option_header(input.first(kOptionHeaderBytes), header)) return {};
    input = input.subspan(kOptionHeaderBytes);
    Bytes out;
    Negotiation::Next next = Negotiation::Next::more;
    if (header.length > kOptionBytesMax) {
      next = negotiation.oversized(header, out);
    } else {
      if (header.length > input.size()) return {};
      // A copy of its own: a read beyond the option is a read beyond the heap block.
      const Bytes data(input.begin(), input.begin() + header.length);
      next = negotiation.option(header, data, out);
      input = input.subspan(header.length);
    }
    CHECK(out.size() <= answer_max);
    if (next == Negotiation::Next::close) return {};
    transmits = next == Negotiation::Next::transmit;
    if (transmits) return input;
  }
  return {};
}

void put(std::span<std::byte>& into, std::uint64_t value, std::size_t width) {
  for (std::size_t i = 0; i < width; ++i) {
    into[i] = static_cast<std::byte>(value >> (8 * (width - 1 - i)));
  }
  into = into.subspan(width);
}

void put_option(std::span<std::byte>& into, Option option, std::string_view data) {
  put(into, kOptionMagic, 8);
  put(into, static_cast<std::uint32_t>(option), 4);
  put(into, data.size(), 4);
  std::memcpy(into.data(), data.data(), data.size());
  into = into.subspan(data.size());
}

}  // namespace

void run(Input input) {
  bool transmits = false;
  for (input = options(input, transmits); transmits && input.size() >= kRequestBytes;
       input = input.subspan(kRequestBytes)) {
    Request request;
    if (!parse_request(input.first(kRequestBytes), request)) return;
  }
}

void mend(std::span<std::byte>) {}  // there are no checksums

std::size_t seed(std::size_t n, std::span<std::byte> into) {
  using std::string_literals::operator""s;
  if (n > 3) return 0;
  const std::size_t room = into.size();
  put(into, kFixedNewstyle | kNoZeroes, 4);
  if (n > 0) put_option(into, Option::structured_reply, "");
  const std::string query = "\0\0\0\4data\0\0\0\1\0\0\0\x0f"s + "base:allocation";
  if (n > 1) put_option(into, Option::list_meta_context, query);
  if (n > 1) put_option(into, Option::set_meta_context, query);
  if (n > 2) put_option(into, Option::list, "");
  if (n > 2) put_option(into, Option::info, "\0\0\0\4data\0\2\0\0\0\3"s);
  if (n > 0) put_option(into, Option::go, "\0\0\0\4data\0\1\0\3"s);
  if (n == 0) put_option(into, Option::export_name, "data");
  put(into, kRequestMagic, 4);
  put(into, 1, 4);
  put(into, 77, 8);
  put(into, 4096, 8);
  put(into, 4096, 4);
  return room - into.size();
}

}  // namespace seawall::fuzz
