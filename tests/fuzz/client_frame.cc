// Frames between front ends and nodes, both ways: what decodes encodes to the very same bytes.
#include <cstring>
#include <type_traits>
#include <vector>

#include "engine/base/check.h"
#include "tests/fuzz/wire.h"

namespace seawall::fuzz {
namespace {

constexpr VolumeId volume{1, 2};

runtime::BufferPool& pool() {
  static runtime::BufferPool all(4 << 20);
  return all;
}

void expect_same(const runtime::Frame& frame, const runtime::Frame& again) {
  CHECK(again.header.type == frame.header.type && again.meta.size() == frame.meta.size());
  CHECK(std::memcmp(again.meta.data(), frame.meta.data(), again.meta.size()) == 0);
}

template <class T>
void expect_reversible(const runtime::Frame& frame, const Result<T>& decoded) {
  static runtime::MetaBuffer meta;
  if (!decoded) return;
  if constexpr (std::is_same_v<T, ClientAttachReply>) {
    expect_same(frame, runtime::encode(volume, *decoded, ConnectionNumber(1), meta));
  } else if constexpr (std::is_same_v<T, ClientRequest> || std::is_same_v<T, ClientDone>) {
    expect_same(frame, runtime::encode(volume, *decoded, pool(), meta));
  } else {
    expect_same(frame, runtime::encode(*decoded, meta));
  }
}

void decode(const runtime::Frame& frame) {
  using runtime::FrameType;
  switch (frame.header.type) {
    case FrameType::client_attach:
      return expect_reversible(frame, runtime::decode_client_attach(frame));
    case FrameType::client_attach_reply:
      return expect_reversible(frame, runtime::decode_client_attach_reply(frame));
    case FrameType::client_read:
    case FrameType::client_write:
    case FrameType::client_flush:
    case FrameType::client_discard:
    case FrameType::client_zero:
      return expect_reversible(frame, runtime::decode_client_request(frame, pool()));
    case FrameType::client_done:
      return expect_reversible(frame, runtime::decode_client_done(frame));
    case FrameType::who_is_primary:
      return expect_reversible(frame, runtime::decode_who_is_primary(frame));
    case FrameType::primary_is:
      return expect_reversible(frame, runtime::decode_primary_is(frame));
    default: return;
  }
}

}  // namespace

void run(Input input) { receive(input, pool(), decode); }

void mend(std::span<std::byte> input) { mend_frame(input); }

std::size_t seed(std::size_t n, std::span<std::byte> into) {
  runtime::MetaBuffer meta;
  ClientRequest request;
  request.blocks = BlockCount(1);
  switch (n) {
    case 0: return put_frame(runtime::encode(ClientAttach{volume, {3, 4}}, meta), into);
    case 1: return put_frame(runtime::encode(volume, ClientAttachReply{}, ConnectionNumber(1), meta), into);
    case 2: return put_frame(runtime::encode(volume, request, pool(), meta), into);
    case 3: request.op = ClientOp::flush; request.blocks = BlockCount(0); break;
    case 4: request.op = ClientOp::discard; break;
    case 5: request.op = ClientOp::write_zeroes; break;
    case 6: return put_frame(runtime::encode(volume, ClientDone{}, pool(), meta), into);
    case 7: return put_frame(runtime::encode(runtime::WhoIsPrimary{volume, {3, 4}}, meta), into);
    case 8: return put_frame(runtime::encode(runtime::PrimaryIs{volume, Epoch(1), ReplicaId(2), true}, meta), into);
    default: return 0;
  }
  return put_frame(runtime::encode(volume, request, pool(), meta), into);
}

}  // namespace seawall::fuzz
