#include "node/frontends/nbd_protocol.h"

#include <cstring>

namespace seawall::nbd {
namespace {

// Takes big-endian values off the front of a span; a failed take fails all that follow.
class Reader {
 public:
  explicit Reader(std::span<const std::byte> data) : data_(data) {}
  template <class T>
  T number() {
    T value = 0;
    if (!need(sizeof(T))) return value;
    for (std::size_t i = 0; i < sizeof(T); ++i) {
      value = static_cast<T>((value << 8) | std::to_integer<T>(data_[i]));
    }
    data_ = data_.subspan(sizeof(T));
    return value;
  }
  std::string_view text(std::size_t bytes) {
    if (!need(bytes)) return {};
    const auto* start = reinterpret_cast<const char*>(data_.data());
    data_ = data_.subspan(bytes);
    return {start, bytes};
  }
  bool good() const { return good_; }
  bool finished() const { return good_ && data_.empty(); }

 private:
  bool need(std::size_t bytes) {
    good_ = good_ && data_.size() >= bytes;
    return good_;
  }
  std::span<const std::byte> data_;
  bool good_ = true;
};

template <class T>
void put(std::byte* at, T value) {
  for (std::size_t i = sizeof(T); i-- > 0;) {
    at[i] = static_cast<std::byte>(value & 0xff);
    value = static_cast<T>(value >> 8);
  }
}

template <class T>
void append(Bytes& out, T value) {
  const std::size_t at = out.size();
  out.resize(at + sizeof(T));
  put(out.data() + at, value);
}

void append_text(Bytes& out, std::string_view text) {
  const auto* start = reinterpret_cast<const std::byte*>(text.data());
  out.insert(out.end(), start, start + text.size());
}

void append_reply_header(Bytes& out, std::uint32_t option, OptionReply reply,
                         std::size_t length) {
  append(out, kOptionReplyMagic);
  append(out, option);
  append(out, static_cast<std::uint32_t>(reply));
  append(out, static_cast<std::uint32_t>(length));
}

bool name_ok(std::string_view name) {
  return name.size() <= kNameBytesMax && name.find('\0') == std::string_view::npos;
}

}  // namespace

void put_u16(std::byte* at, std::uint16_t value) { put(at, value); }
void put_u32(std::byte* at, std::uint32_t value) { put(at, value); }
void put_u64(std::byte* at, std::uint64_t value) { put(at, value); }

std::uint32_t read_u32(std::span<const std::byte> from) {
  return Reader(from).number<std::uint32_t>();
}

bool parse_option_header(std::span<const std::byte> from, OptionHeader& out) {
  Reader reader(from);
  const auto magic = reader.number<std::uint64_t>();
  out.option = reader.number<std::uint32_t>();
  out.length = reader.number<std::uint32_t>();
  return reader.good() && magic == kOptionMagic;
}

bool parse_request(std::span<const std::byte> from, Request& out) {
  Reader reader(from);
  const auto magic = reader.number<std::uint32_t>();
  out.flags = reader.number<std::uint16_t>();
  out.type = reader.number<std::uint16_t>();
  out.cookie = reader.number<std::uint64_t>();
  out.offset = reader.number<std::uint64_t>();
  out.length = reader.number<std::uint32_t>();
  return reader.good() && magic == kRequestMagic;
}

bool parse_info(std::span<const std::byte> data, std::string_view& name, bool& wants_name) {
  Reader reader(data);
  name = reader.text(reader.number<std::uint32_t>());
  const auto count = reader.number<std::uint16_t>();
  wants_name = false;
  for (unsigned i = 0; i < count && reader.good(); ++i) {
    const auto wanted = static_cast<Info>(reader.number<std::uint16_t>());
    wants_name = wants_name || wanted == Info::name;
  }
  return reader.finished() && name_ok(name);
}

bool parse_meta_context(std::span<const std::byte> data, MetaQueries& out) {
  Reader reader(data);
  out.name = reader.text(reader.number<std::uint32_t>());
  out.count = reader.number<std::uint32_t>();
  if (!reader.good() || !name_ok(out.name) || out.count > kQueriesMax) return false;
  for (std::uint32_t i = 0; i < out.count; ++i) {
    out.queries[i] = reader.text(reader.number<std::uint32_t>());
    if (!reader.good() || !name_ok(out.queries[i])) return false;
  }
  return reader.finished();
}

void encode_greeting(Bytes& out) {
  append(out, kServerMagic);
  append(out, kOptionMagic);
  append(out, static_cast<std::uint16_t>(kFixedNewstyle | kNoZeroes));
}

void encode_export_reply(std::uint64_t size, std::uint16_t flags, bool zeroes, Bytes& out) {
  constexpr std::size_t kPadding = 124;
  append(out, size);
  append(out, flags);
  if (zeroes) out.resize(out.size() + kPadding);
}

void encode_option_reply(std::uint32_t option, OptionReply reply, std::span<const std::byte> data,
                         Bytes& out) {
  append_reply_header(out, option, reply, data.size());
  out.insert(out.end(), data.begin(), data.end());
}

void encode_option_error(std::uint32_t option, OptionReply error, std::string_view text,
                         Bytes& out) {
  append_reply_header(out, option, error, text.size());
  append_text(out, text);
}

void encode_server(std::uint32_t option, std::string_view name, Bytes& out) {
  append_reply_header(out, option, OptionReply::server, 4 + name.size());
  append(out, static_cast<std::uint32_t>(name.size()));
  append_text(out, name);
}

void encode_info_export(std::uint32_t option, std::uint64_t size, std::uint16_t flags,
                        Bytes& out) {
  append_reply_header(out, option, OptionReply::info, 12);
  append(out, static_cast<std::uint16_t>(Info::exported));
  append(out, size);
  append(out, flags);
}

void encode_info_name(std::uint32_t option, std::string_view name, Bytes& out) {
  append_reply_header(out, option, OptionReply::info, 2 + name.size());
  append(out, static_cast<std::uint16_t>(Info::name));
  append_text(out, name);
}

void encode_info_block_size(std::uint32_t option, const BlockSizes& sizes, Bytes& out) {
  append_reply_header(out, option, OptionReply::info, 14);
  append(out, static_cast<std::uint16_t>(Info::block_size));
  append(out, sizes.minimum);
  append(out, sizes.preferred);
  append(out, sizes.maximum);
}

void encode_meta_context(std::uint32_t option, std::uint32_t context, std::string_view name,
                         Bytes& out) {
  append_reply_header(out, option, OptionReply::meta_context, 4 + name.size());
  append(out, context);
  append_text(out, name);
}

void encode_simple_reply(std::uint64_t cookie, WireError error,
                         std::span<std::byte, kSimpleReplyBytes> out) {
  put_u32(out.data(), kSimpleReplyMagic);
  put_u32(out.data() + 4, static_cast<std::uint32_t>(error));
  put_u64(out.data() + 8, cookie);
}

void encode_chunk(std::uint64_t cookie, Chunk type, std::uint16_t flags, std::uint32_t length,
                  std::span<std::byte, kChunkHeaderBytes> out) {
  put_u32(out.data(), kChunkMagic);
  put_u16(out.data() + 4, flags);
  put_u16(out.data() + 6, static_cast<std::uint16_t>(type));
  put_u64(out.data() + 8, cookie);
  put_u32(out.data() + 16, length);
}

}  // namespace seawall::nbd
