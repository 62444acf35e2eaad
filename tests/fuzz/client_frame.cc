// Frames between front ends and nodes, both ways: what decodes encodes to the very same bytes.
#include <cstring>
#include <iterator>
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
  const auto put = [&](const runtime::Frame& frame) { return put_frame(frame, into); };
  if (n == 0) return put(runtime::encode(ClientAttach{volume, {3, 4}}, meta));
  if (n == 1) {
    return put(runtime::encode(volume, ClientAttachReply{}, ConnectionNumber(1), meta));
  }
  if (n == 2) return put(runtime::encode(volume, ClientDone{}, pool(), meta));
  if (n == 3) return put(runtime::encode(runtime::WhoIsPrimary{volume, {3, 4}}, meta));
  if (n == 4) {
    return put(runtime::encode(runtime::PrimaryIs{volume, Epoch(1), ReplicaId(2), true}, meta));
  }
  static constexpr ClientOp ops[] = {ClientOp::read, ClientOp::flush, ClientOp::discard,
                                     ClientOp::write_zeroes};
  if (n - 5 >= std::size(ops)) return 0;
  ClientRequest request;
  request.op = ops[n - 5];
  request.blocks = BlockCount(request.op == ClientOp::flush ? 0 : 1);
  return put(runtime::encode(volume, request, pool(), meta));
}

}  // namespace seawall::fuzz
