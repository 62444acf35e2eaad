#include "node/frontends/nbd_negotiation.h"

#include <algorithm>

namespace seawall::nbd {
namespace {

bool selects_allocation(std::string_view query, bool listing) {
  return query == kAllocationName || (listing && query == "base:");
}

}  // namespace

Negotiation::Next Negotiation::client_flags(std::uint32_t flags) {
  const std::uint32_t known = kFixedNewstyle | kNoZeroes;
  if ((flags & ~known) != 0) return Next::close;
  // A client without fixed newstyle may only send EXPORT_NAME; it is served all the same.
  zeroes_ = (flags & kNoZeroes) == 0;
  return Next::more;
}

Negotiation::Next Negotiation::fail(const OptionHeader& header, OptionReply error,
                                    std::string_view text, Bytes& out) {
  encode_option_error(header.option, error, text, out);
  return Next::more;
}

Negotiation::Next Negotiation::oversized(const OptionHeader& header, Bytes& out) {
  if (++options_ > kOptionsMax) return Next::close;
  // EXPORT_NAME knows no error reply: the specification leaves only the end of the connection.
  if (static_cast<Option>(header.option) == Option::export_name) return Next::close;
  return fail(header, OptionReply::err_too_big, "the option is too long", out);
}

Negotiation::Next Negotiation::option(const OptionHeader& header, std::span<const std::byte> data,
                                      Bytes& out) {
  if (++options_ > kOptionsMax) return Next::close;
  switch (static_cast<Option>(header.option)) {
    case Option::export_name: return export_name(data, out);
    case Option::abort:
      encode_option_reply(header.option, OptionReply::ack, {}, out);
      return Next::close;
    case Option::list: return list(header, data, out);
    case Option::info:
    case Option::go: return info_or_go(header, data, out);
    case Option::structured_reply:
      if (!data.empty()) {
        return fail(header, OptionReply::err_invalid, "this option has no data", out);
      }
      structured_ = true;
      encode_option_reply(header.option, OptionReply::ack, {}, out);
      return Next::more;
    case Option::list_meta_context:
    case Option::set_meta_context: return meta_context(header, data, out);
    case Option::starttls: break;
  }
  return fail(header, OptionReply::err_unsup, "this option is not supported", out);
}

std::uint16_t Negotiation::flags_of(const ExportInfo& info) const {
  const unsigned df = structured_ ? transmission_flag::send_df : 0U;
  return static_cast<std::uint16_t>(info.flags | df);
}

Negotiation::Next Negotiation::export_name(std::span<const std::byte> data, Bytes& out) {
  const std::string name(reinterpret_cast<const char*>(data.data()), data.size());
  const auto found = catalogue_.find(name);
  if (!found) return Next::close;
  export_name_ = name;
  encode_export_reply(found->size_bytes, flags_of(*found), zeroes_, out);
  return Next::transmit;
}

Negotiation::Next Negotiation::list(const OptionHeader& header, std::span<const std::byte> data,
                                    Bytes& out) {
  if (!data.empty()) {
    return fail(header, OptionReply::err_invalid, "this option has no data", out);
  }
  for (const std::string& name : catalogue_.names()) encode_server(header.option, name, out);
  encode_option_reply(header.option, OptionReply::ack, {}, out);
  return Next::more;
}

Negotiation::Next Negotiation::info_or_go(const OptionHeader& header,
                                          std::span<const std::byte> data, Bytes& out) {
  std::string_view name;
  bool wants_name = false;
  if (!parse_info(data, name, wants_name)) {
    return fail(header, OptionReply::err_invalid, "malformed option", out);
  }
  const auto found = catalogue_.find(name);
  if (!found) return fail(header, OptionReply::err_unknown, "no such export", out);
  encode_info_export(header.option, found->size_bytes, flags_of(*found), out);
  if (wants_name) encode_info_name(header.option, name, out);
  encode_info_block_size(header.option, found->sizes, out);
  encode_option_reply(header.option, OptionReply::ack, {}, out);
  if (static_cast<Option>(header.option) == Option::info) return Next::more;
  export_name_ = name;
  return Next::transmit;
}

Negotiation::Next Negotiation::meta_context(const OptionHeader& header,
                                            std::span<const std::byte> data, Bytes& out) {
  const bool listing = static_cast<Option>(header.option) == Option::list_meta_context;
  if (!listing) allocation_ = false;  // whatever the outcome, the old choice is gone
  if (!structured_) {
    return fail(header, OptionReply::err_invalid, "structured replies come first", out);
  }
  MetaQueries asked;
  if (!parse_meta_context(data, asked)) {
    return fail(header, OptionReply::err_invalid, "malformed option", out);
  }
  if (!catalogue_.find(asked.name)) {
    return fail(header, OptionReply::err_unknown, "no such export", out);
  }
  const auto end = asked.queries.begin() + asked.count;
  const bool found =
      (listing && asked.count == 0) ||
      std::any_of(asked.queries.begin(), end,
                  [&](std::string_view query) { return selects_allocation(query, listing); });
  if (found) {
    encode_meta_context(header.option, listing ? 0 : kAllocationContext, kAllocationName, out);
  }
  if (!listing) {
    allocation_ = found;
    allocation_for_ = asked.name;
  }
  encode_option_reply(header.option, OptionReply::ack, {}, out);
  return Next::more;
}

}  // namespace seawall::nbd
