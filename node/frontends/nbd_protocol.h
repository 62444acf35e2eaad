// The NBD protocol in bytes: constants, parsers and encoders. Pure, big endian.
//
// Follows the public specification (proto.md of the NBD project): fixed newstyle negotiation,
// simple and structured replies. Thread: any. Ownership: parsed names borrow the input. Errors: a
// parser answers false for anything that is not exactly one well-formed message; it never reads
// beyond it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace seawall::nbd {

inline constexpr std::uint64_t kServerMagic = 0x4e42444d41474943;   // "NBDMAGIC"
inline constexpr std::uint64_t kOptionMagic = 0x49484156454f5054;   // "IHAVEOPT"
inline constexpr std::uint64_t kOptionReplyMagic = 0x0003e889045565a9;
inline constexpr std::uint32_t kRequestMagic = 0x25609513;
inline constexpr std::uint32_t kSimpleReplyMagic = 0x67446698;
inline constexpr std::uint32_t kChunkMagic = 0x668e33ef;

inline constexpr std::uint16_t kFixedNewstyle = 1;
inline constexpr std::uint16_t kNoZeroes = 2;

inline constexpr std::size_t kGreetingBytes = 18;
inline constexpr std::size_t kClientFlagsBytes = 4;
inline constexpr std::size_t kOptionHeaderBytes = 16;
inline constexpr std::size_t kOptionReplyHeaderBytes = 20;
inline constexpr std::size_t kRequestBytes = 28;
inline constexpr std::size_t kSimpleReplyBytes = 16;
inline constexpr std::size_t kChunkHeaderBytes = 20;
inline constexpr std::size_t kNameBytesMax = 4096;
inline constexpr std::size_t kOptionBytesMax = 32 * 1024;  // longer ones are skipped: TOO_BIG
inline constexpr std::size_t kQueriesMax = 64;

enum class Option : std::uint32_t {
  export_name = 1, abort = 2, list = 3, starttls = 5, info = 6, go = 7, structured_reply = 8,
  list_meta_context = 9, set_meta_context = 10,
};

enum class OptionReply : std::uint32_t {
  ack = 1, server = 2, info = 3, meta_context = 4,
  err_unsup = 0x80000001, err_policy = 0x80000002, err_invalid = 0x80000003,
  err_unknown = 0x80000006, err_shutdown = 0x80000007, err_too_big = 0x80000009,
};

enum class Info : std::uint16_t { exported = 0, name = 1, description = 2, block_size = 3 };

namespace transmission_flag {
inline constexpr std::uint16_t has_flags = 1, read_only = 2, send_flush = 4, send_fua = 8,
                               send_trim = 32, send_write_zeroes = 64, send_df = 128,
                               can_multi_conn = 256, send_fast_zero = 2048;
}

enum class Command : std::uint16_t {
  read = 0, write = 1, disc = 2, flush = 3, trim = 4, cache = 5, write_zeroes = 6,
  block_status = 7,
};

namespace command_flag {
inline constexpr std::uint16_t fua = 1, no_hole = 2, df = 4, req_one = 8, fast_zero = 16;
}

// Errors on the wire; the numbers are the protocol's own.
enum class WireError : std::uint32_t {
  none = 0, permission = 1, io = 5, no_memory = 12, invalid = 22, no_space = 28, overflow = 75,
  not_supported = 95, shutdown = 108,
};

enum class Chunk : std::uint16_t {
  none = 0, offset_data = 1, offset_hole = 2, block_status = 5, error = 0x8001,
};
inline constexpr std::uint16_t kChunkDone = 1;
inline constexpr std::uint32_t kAllocationContext = 1;   // the id that we hand out
inline constexpr std::string_view kAllocationName = "base:allocation";

struct OptionHeader {
  std::uint32_t option = 0;
  std::uint32_t length = 0;
};

struct Request {
  std::uint16_t flags = 0;
  std::uint16_t type = 0;
  std::uint64_t cookie = 0;
  std::uint64_t offset = 0;
  std::uint32_t length = 0;
};

struct BlockSizes {
  std::uint32_t minimum = 4096, preferred = 4096, maximum = 32U << 20;
};

// --- parsers ---
std::uint32_t read_u32(std::span<const std::byte> from);
bool parse_option_header(std::span<const std::byte> from, OptionHeader& out);
bool parse_request(std::span<const std::byte> from, Request& out);
// Payload of INFO and GO: the name and what the client asks to know.
bool parse_info(std::span<const std::byte> data, std::string_view& name, bool& wants_name);
// Payload of LIST_META_CONTEXT and SET_META_CONTEXT.
struct MetaQueries {
  std::string_view name;
  std::array<std::string_view, kQueriesMax> queries;
  std::uint32_t count = 0;
};
bool parse_meta_context(std::span<const std::byte> data, MetaQueries& out);

// --- encoders: append to `out`, or fill a fixed place ---
using Bytes = std::vector<std::byte>;
void encode_greeting(Bytes& out);
void encode_export_reply(std::uint64_t size, std::uint16_t flags, bool zeroes, Bytes& out);
void encode_option_reply(std::uint32_t option, OptionReply reply, std::span<const std::byte> data,
                         Bytes& out);
void encode_option_error(std::uint32_t option, OptionReply error, std::string_view text,
                         Bytes& out);
void encode_server(std::uint32_t option, std::string_view name, Bytes& out);
void encode_info_export(std::uint32_t option, std::uint64_t size, std::uint16_t flags, Bytes& out);
void encode_info_name(std::uint32_t option, std::string_view name, Bytes& out);
void encode_info_block_size(std::uint32_t option, const BlockSizes& sizes, Bytes& out);
void encode_meta_context(std::uint32_t option, std::uint32_t context, std::string_view name,
                         Bytes& out);

void encode_simple_reply(std::uint64_t cookie, WireError error,
                         std::span<std::byte, kSimpleReplyBytes> out);
void encode_chunk(std::uint64_t cookie, Chunk type, std::uint16_t flags, std::uint32_t length,
                  std::span<std::byte, kChunkHeaderBytes> out);
void put_u16(std::byte* at, std::uint16_t value);
void put_u32(std::byte* at, std::uint32_t value);
void put_u64(std::byte* at, std::uint64_t value);

}  // namespace seawall::nbd
