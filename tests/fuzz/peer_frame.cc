// Frames between replicas: what decodes encodes to the very same bytes.
#include <cstring>
#include <vector>

#include "engine/base/check.h"
#include "tests/fuzz/wire.h"

namespace seawall::fuzz {
namespace {

using namespace message;

runtime::BufferPool& pool() {
  static runtime::BufferPool all(4 << 20);
  return all;
}

// One of each type, with something in every field that has a bound.
std::vector<PeerMessage> samples() {
  static const ReplicaFacts facts{};
  static const TermTable terms{};
  static const RequestTables tables{};
  RecordHeader write;
  write.lsn = Lsn(5);
  write.term = Term(2);
  write.blocks = BlockCount(1);
  HelloReply hello;
  hello.facts = &facts;
  StartRebuild rebuild;
  rebuild.terms = &terms;
  BaseRequests requests;
  requests.tables = &tables;
  Append append;
  append.header = write;
  append.header.kind = RecordKind::discard;
  FetchRecord fetch;
  fetch.header = write;
  RecordPayload record;
  record.header = write;
  FetchBlocks blocks;
  blocks.blocks = BlockCount(1);
  return {Hello{},         hello,           StartStream{},     Rewind{},          RewindDone{},
          append,          Ack{},           Nack{},            Barrier{},         BarrierDone{},
          Heartbeat{},     HeartbeatReply{}, rebuild,          RebuildReady{},    AskBaseMap{},
          BaseBlocks{},    BaseAck{},       BaseEnd{},         RebuildComplete{}, RebuildAccepted{},
          MarkerCleared{}, requests,        fetch,             record,            blocks,
          BlocksPayload{}};
}

}  // namespace

void run(Input input) {
  static runtime::DecodeScratch scratch;
  static runtime::MetaBuffer meta;
  receive(input, pool(), [](const runtime::Frame& frame) {
    const auto decoded = runtime::decode_peer(frame, pool(), scratch);
    if (!decoded) return;
    const runtime::Frame again =
        runtime::encode(decoded->envelope, decoded->message, pool(), meta);
    CHECK(again.header.type == frame.header.type);
    CHECK(again.meta.size() == frame.meta.size());
    CHECK(std::memcmp(again.meta.data(), frame.meta.data(), again.meta.size()) == 0);
  });
}

void mend(std::span<std::byte> input) { mend_frame(input); }

std::size_t seed(std::size_t n, std::span<std::byte> into) {
  const std::vector<PeerMessage> all = samples();
  if (n >= all.size()) return 0;
  runtime::MetaBuffer meta;
  const Envelope envelope{{1, 2}, ReplicaId{1}, ReplicaId{2}, Epoch{3}, 4, EndpointVersion{5}};
  return put_frame(runtime::encode(envelope, all[n], pool(), meta), into);
}

}  // namespace seawall::fuzz
