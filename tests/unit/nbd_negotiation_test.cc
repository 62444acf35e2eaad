#include "node/frontends/nbd_negotiation.h"

#include <gtest/gtest.h>

#include <cstring>

#include "engine/base/prng.h"

namespace seawall::nbd {
namespace {

class TwoExports final : public Catalogue {
 public:
  std::optional<ExportInfo> find(std::string_view name) const override {
    if (name != "a" && name != "b") return std::nullopt;
    return ExportInfo{1 << 20, transmission_flag::has_flags | transmission_flag::send_flush, {}};
  }
  std::vector<std::string> names() const override { return {"a", "b"}; }
};

Bytes bytes_of(std::string_view text) {
  const auto* start = reinterpret_cast<const std::byte*>(text.data());
  return {start, start + text.size()};
}

void add_u32(Bytes& out, std::uint32_t value) {
  out.resize(out.size() + 4);
  put_u32(out.data() + out.size() - 4, value);
}

Bytes info_request(std::string_view name, std::initializer_list<Info> wanted = {}) {
  Bytes out;
  add_u32(out, static_cast<std::uint32_t>(name.size()));
  const Bytes text = bytes_of(name);
  out.insert(out.end(), text.begin(), text.end());
  for (const std::uint16_t value : {static_cast<std::uint16_t>(wanted.size())}) {
    out.resize(out.size() + 2);
    put_u16(out.data() + out.size() - 2, value);
  }
  for (const Info info : wanted) {
    out.resize(out.size() + 2);
    put_u16(out.data() + out.size() - 2, static_cast<std::uint16_t>(info));
  }
  return out;
}

Bytes meta_request(std::string_view name, std::initializer_list<std::string_view> queries) {
  Bytes out;
  add_u32(out, static_cast<std::uint32_t>(name.size()));
  Bytes text = bytes_of(name);
  out.insert(out.end(), text.begin(), text.end());
  add_u32(out, static_cast<std::uint32_t>(queries.size()));
  for (const std::string_view query : queries) {
    add_u32(out, static_cast<std::uint32_t>(query.size()));
    text = bytes_of(query);
    out.insert(out.end(), text.begin(), text.end());
  }
  return out;
}

// The types of the replies in `out`, in order.
std::vector<OptionReply> replies(const Bytes& out) {
  std::vector<OptionReply> types;
  std::size_t at = 0;
  while (at + kOptionReplyHeaderBytes <= out.size()) {
    const std::span<const std::byte> rest = std::span(out).subspan(at);
    types.push_back(static_cast<OptionReply>(read_u32(rest.subspan(12))));
    at += kOptionReplyHeaderBytes + read_u32(rest.subspan(16));
  }
  EXPECT_EQ(at, out.size()) << "replies are whole";
  return types;
}

class NbdNegotiation : public ::testing::Test {
 protected:
  Negotiation::Next ask(Option option, const Bytes& data) {
    out_.clear();
    return machine_.option({static_cast<std::uint32_t>(option),
                            static_cast<std::uint32_t>(data.size())}, data, out_);
  }
  TwoExports exports_;
  Negotiation machine_{exports_};
  Bytes out_;
};

using Next = Negotiation::Next;
using Replies = std::vector<OptionReply>;

TEST_F(NbdNegotiation, Unknown_client_flags_end_the_connection) {
  EXPECT_EQ(machine_.client_flags(kFixedNewstyle | kNoZeroes), Next::more);
  EXPECT_EQ(Negotiation(exports_).client_flags(0x80), Next::close);
}

TEST_F(NbdNegotiation, List_names_every_export_and_takes_no_data) {
  EXPECT_EQ(ask(Option::list, {}), Next::more);
  EXPECT_EQ(replies(out_), (Replies{OptionReply::server, OptionReply::server, OptionReply::ack}));
  EXPECT_EQ(ask(Option::list, bytes_of("x")), Next::more);
  EXPECT_EQ(replies(out_), Replies{OptionReply::err_invalid});
}

TEST_F(NbdNegotiation, Go_tells_size_and_block_sizes_and_transmits) {
  EXPECT_EQ(ask(Option::go, info_request("b", {Info::name, Info::block_size})), Next::transmit);
  EXPECT_EQ(replies(out_), (Replies{OptionReply::info, OptionReply::info, OptionReply::info,
                                    OptionReply::ack}));
  EXPECT_EQ(machine_.export_name(), "b");
}

TEST_F(NbdNegotiation, Info_tells_the_same_and_goes_on) {
  EXPECT_EQ(ask(Option::info, info_request("a")), Next::more);
  EXPECT_EQ(replies(out_), (Replies{OptionReply::info, OptionReply::info, OptionReply::ack}));
}

TEST_F(NbdNegotiation, An_unknown_export_is_an_error_reply_except_for_export_name) {
  EXPECT_EQ(ask(Option::go, info_request("c")), Next::more);
  EXPECT_EQ(replies(out_), Replies{OptionReply::err_unknown});
  EXPECT_EQ(ask(Option::export_name, bytes_of("c")), Next::close);
}

TEST_F(NbdNegotiation, Unknown_options_are_unsupported_and_starttls_is_one) {
  EXPECT_EQ(ask(Option::starttls, {}), Next::more);
  EXPECT_EQ(replies(out_), Replies{OptionReply::err_unsup});
  EXPECT_EQ(ask(static_cast<Option>(4711), bytes_of("?")), Next::more);
  EXPECT_EQ(replies(out_), Replies{OptionReply::err_unsup});
}

TEST_F(NbdNegotiation, An_option_that_is_too_long_is_answered_as_such) {
  EXPECT_EQ(machine_.oversized({static_cast<std::uint32_t>(Option::go), 1 << 20}, out_),
            Next::more);
  EXPECT_EQ(replies(out_), Replies{OptionReply::err_too_big});
  EXPECT_EQ(machine_.oversized({static_cast<std::uint32_t>(Option::export_name), 1 << 20}, out_),
            Next::close);
}

TEST_F(NbdNegotiation, A_context_needs_structured_replies_and_belongs_to_one_export) {
  EXPECT_EQ(ask(Option::set_meta_context, meta_request("a", {"base:allocation"})), Next::more);
  EXPECT_EQ(replies(out_), Replies{OptionReply::err_invalid});
  ask(Option::structured_reply, {});
  EXPECT_EQ(ask(Option::set_meta_context, meta_request("a", {"x:y", "base:allocation"})),
            Next::more);
  EXPECT_EQ(replies(out_), (Replies{OptionReply::meta_context, OptionReply::ack}));
  ask(Option::go, info_request("b"));
  EXPECT_FALSE(machine_.allocation()) << "it was chosen for another export";
  ask(Option::go, info_request("a"));
  EXPECT_TRUE(machine_.allocation());
}

TEST_F(NbdNegotiation, A_failed_choice_of_contexts_forgets_the_one_before) {
  ask(Option::structured_reply, {});
  ask(Option::set_meta_context, meta_request("a", {"base:allocation"}));
  ask(Option::set_meta_context, meta_request("c", {"base:allocation"}));
  EXPECT_EQ(replies(out_), Replies{OptionReply::err_unknown});
  ask(Option::go, info_request("a"));
  EXPECT_FALSE(machine_.allocation());
}

TEST_F(NbdNegotiation, Listing_contexts_knows_the_wildcard_and_setting_does_not) {
  ask(Option::structured_reply, {});
  for (const auto& request : {meta_request("a", {}), meta_request("a", {"base:"})}) {
    ask(Option::list_meta_context, request);
    EXPECT_EQ(replies(out_), (Replies{OptionReply::meta_context, OptionReply::ack}));
  }
  ask(Option::set_meta_context, meta_request("a", {"base:"}));
  EXPECT_EQ(replies(out_), Replies{OptionReply::ack});
}

TEST_F(NbdNegotiation, A_malformed_option_is_invalid_at_every_length) {
  ask(Option::structured_reply, {});
  const Bytes good = info_request("a", {Info::name});
  for (std::size_t length = 0; length < good.size(); ++length) {
    EXPECT_EQ(ask(Option::info, Bytes(good.begin(), good.begin() + static_cast<long>(length))),
              Next::more);
    EXPECT_EQ(replies(out_), Replies{OptionReply::err_invalid}) << length;
  }
  const Bytes meta = meta_request("a", {"base:allocation"});
  for (std::size_t length = 0; length < meta.size(); ++length) {
    ask(Option::set_meta_context, Bytes(meta.begin(), meta.begin() + static_cast<long>(length)));
    EXPECT_EQ(replies(out_), Replies{OptionReply::err_invalid}) << length;
  }
}

TEST_F(NbdNegotiation, Haggling_has_an_end) {
  Next next = Next::more;
  unsigned asked = 0;
  while (next == Next::more && asked < 10'000) {
    next = ask(Option::list, {});
    ++asked;
  }
  EXPECT_EQ(next, Next::close);
  EXPECT_EQ(asked, Negotiation::kOptionsMax + 1);
}

TEST_F(NbdNegotiation, Garbage_never_transmits_and_every_reply_is_whole) {
  Prng prng(7);
  for (int round = 0; round < 20'000; ++round) {
    Negotiation machine(exports_);
    Bytes noise(prng.below(64));
    for (std::byte& byte : noise) byte = static_cast<std::byte>(prng.below(256));
    const auto option = static_cast<std::uint32_t>(prng.below(14));
    Bytes out;
    const Next next = machine.option({option, static_cast<std::uint32_t>(noise.size())}, noise,
                                     out);
    EXPECT_NE(next, Next::transmit);
    replies(out);
  }
}

TEST(NbdProtocol, A_request_survives_the_wire_and_a_wrong_magic_does_not) {
  std::array<std::byte, kRequestBytes> wire{};
  put_u32(wire.data(), kRequestMagic);
  put_u16(wire.data() + 4, command_flag::fua);
  put_u16(wire.data() + 6, static_cast<std::uint16_t>(Command::write));
  put_u64(wire.data() + 8, 0x0102030405060708);
  put_u64(wire.data() + 16, 0x1122334455667788);
  put_u32(wire.data() + 24, 4096);
  Request request;
  ASSERT_TRUE(parse_request(wire, request));
  EXPECT_EQ(request.flags, command_flag::fua);
  EXPECT_EQ(request.type, 1);
  EXPECT_EQ(request.cookie, 0x0102030405060708U);
  EXPECT_EQ(request.offset, 0x1122334455667788U);
  EXPECT_EQ(request.length, 4096U);
  wire[0] ^= std::byte{1};
  EXPECT_FALSE(parse_request(wire, request));
  EXPECT_FALSE(parse_request(std::span(wire).first(27), request));
}

}  // namespace
}  // namespace seawall::nbd
