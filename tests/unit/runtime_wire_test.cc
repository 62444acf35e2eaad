// Every message comes back as it was sent; everything that is not exactly a message is an error.
#include <bit>
#include <tuple>
#include <variant>
#include <vector>

#include <gtest/gtest.h>

#include "engine/base/chain.h"
#include "engine/base/prng.h"
#include "node/runtime/base_map.h"
#include "node/runtime/lost_record.h"
#include "node/runtime/wire.h"
#include "node/runtime/wire_header.h"
#include "wal/crc32c.h"

namespace seawall::runtime {
namespace {

using namespace message;  // NOLINT(google-build-using-namespace)

// All fields of a message; a new field does not compile until it is compared.
auto fields(const Hello& m) {
  const auto& [a, b, c] = m;
  return std::tie(a, b, c);
}
auto fields(const HelloReply& m) {
  const auto& [a, b] = m;
  static_cast<void>(a);
  return std::tie(b);
}
auto fields(const StartStream& m) {
  const auto& [a, b, c] = m;
  return std::tie(a, b, c);
}
auto fields(const Rewind& m) { return std::tie(m.to); }
auto fields(const RewindDone& m) { return std::tie(m.written); }
auto fields(const Append& m) {
  const auto& [a, b, c, d, e] = m;
  return std::tie(a, b, c, d, e);
}
auto fields(const Ack& m) {
  const auto& [a, b, c, d] = m;
  return std::tie(a, b, c, d);
}
auto fields(const Nack& m) {
  const auto& [a, b, c] = m;
  return std::tie(a, b, c);
}
auto fields(const Barrier& m) {
  const auto& [a, b, c] = m;
  return std::tie(a, b, c);
}
auto fields(const BarrierDone& m) {
  const auto& [a, b, c, d] = m;
  return std::tie(a, b, c, d);
}
auto fields(const Heartbeat& m) {
  const auto& [a, b, c, d] = m;
  return std::tie(a, b, c, d);
}
auto fields(const HeartbeatReply& m) {
  const auto& [a, b, c, d] = m;
  return std::tie(a, b, c, d);
}
auto fields(const StartRebuild& m) {
  const auto& [a, b, c, d, e, f] = m;
  static_cast<void>(d);
  return std::tie(a, b, c, e, f);
}
auto fields(const AskBaseMap& m) { return std::tie(m.from, m.since); }
auto fields(const BaseMap& m) {
  const auto& [a, b, c, d] = m;
  return std::tie(a, b, c, d);
}
auto fields(const RebuildReady& m) { return std::tie(m.cut, m.start); }
auto fields(const BaseBlocks& m) {
  const auto& [a, b, c, d, e] = m;
  return std::tie(a, b, c, d, e);
}
auto fields(const BaseAck& m) { return std::tie(m.sequence); }
auto fields(const BaseEnd& m) {
  const auto& [a, b, c, d] = m;
  return std::tie(a, b, c, d);
}
auto fields(const RebuildComplete& m) {
  const auto& [a, b, c, d] = m;
  return std::tie(a, b, c, d);
}
auto fields(const BaseRequests&) { return std::tuple<>(); }
auto fields(const RebuildAccepted& m) { return std::tie(m.required); }
auto fields(const FetchRecord& m) {
  const auto& [a, b] = m;
  return std::tie(a, b);
}
auto fields(const RecordPayload& m) {
  const auto& [a, b, c, d] = m;
  return std::tie(a, b, c, d);
}
auto fields(const FetchBlocks& m) {
  const auto& [a, b, c, d] = m;
  return std::tie(a, b, c, d);
}
auto fields(const BlocksPayload& m) {
  const auto& [a, b, c] = m;
  return std::tie(a, b, c);
}
auto fields(const MarkerCleared&) { return std::tuple<>(); }
auto fields(const Envelope& e) {
  const auto& [a, b, c, d, f, g] = e;
  return std::tie(a, b, c, d, f, g);
}
auto fields(const ClientRequest& m) {
  const auto& [a, b, c, d, e, f, g, h, i, j] = m;
  return std::tie(a, b, c, d, e, f, g, h, i, j);
}
auto fields(const ClientDone& m) {
  const auto& [a, b, c, d, e, f, g] = m;
  return std::tie(a, b, c, d, e, f, g);
}
auto fields(const ClientAttach& m) {
  const auto& [a, b, c, d, e, f] = m;
  return std::tie(a, b, c, d, e, f);
}
auto fields(const ClientAttachReply& m) {
  const auto& [a, b, c, d, e] = m;
  return std::tie(a, b, c, d, e);
}
auto fields(const ReplicaFacts& m) {
  const auto& [a, b, c, d, e, f, g, h, i, j, k, l, n, o, p] = m;
  return std::tie(a, b, c, d, e, f, g, h, i, j, k, l, n, o, p);
}

// Draws messages; small and huge numbers alike.
class Draw {
 public:
  Draw(BufferPool& pool, std::uint64_t seed) : pool_(pool), prng_(seed) {}

  std::uint64_t number() { return prng_.next() >> prng_.below(64); }
  template <class T>
  T id() {
    return T{static_cast<typename T::rep>(number())};
  }
  template <class T>
  std::optional<T> maybe() {
    if (prng_.coin()) return std::nullopt;
    return id<T>();
  }
  template <class T>
  T id128() {
    return T{number(), number()};
  }
  Slot payload(std::size_t blocks) {
    slots_.emplace_back(pool_, pool_.take(blocks * 4096));
    const Slot slot = slots_.back().slot();
    for (auto& byte : pool_.bytes(slot)) byte = static_cast<std::byte>(prng_.next());
    for (std::size_t i = 0; i < blocks; ++i) {
      pool_.crcs(slot)[i] = wal::crc32c(pool_.bytes(slot).subspan(i * 4096, 4096));
    }
    return slot;
  }
  void drop_payloads() { slots_.clear(); }
  TermTable terms() {
    TermTable terms;
    std::uint64_t term = 0;
    std::uint64_t lsn = 1;
    for (std::size_t i = prng_.below(term_table_max + 1); i > 0; --i) {
      term += 1 + prng_.below(100);
      terms.push_back({Term{term}, Lsn{lsn}, number()});
      lsn += prng_.below(1000);
    }
    return terms;
  }
  RequestTables requests() {
    RequestTables tables;
    std::uint64_t attachment = 0;
    for (std::size_t i = prng_.below(limits::attachments_max + 1); i > 0; --i) {
      attachment += 1 + prng_.below(100);
      RequestTable& row = tables.row(AttachmentId{attachment});
      row.raise_low_mark(RequestNumber{number() / 2});
      std::uint64_t request = row.low_mark.value();
      for (std::size_t j = prng_.below(limits::request_table_max + 1); j > 0; --j) {
        row.insert(RequestNumber{request}, Lsn{1 + number() / 2});
        request += 1 + prng_.below(2);
      }
    }
    return tables;
  }
  ReplicaFacts facts() {
    ReplicaFacts f;
    f.incarnation = id128<Incarnation>();
    f.replica = id<ReplicaId>();
    f.process_start = id<ProcessStart>();
    f.promised = id<Epoch>();
    f.seen_epoch = id<Epoch>();
    f.seen_revision = id<Revision>();
    const std::uint64_t written = number();
    const std::uint64_t durable = written / 2;
    f.marks = {Lsn{written}, Lsn{durable}, Lsn{durable / 2}, Lsn{durable / 4}};
    f.last_term = id<Term>();
    f.chain = number();
    f.intact = prng_.coin();
    if (prng_.coin()) f.floor = Floor{id<Term>(), id<Lsn>()};
    if (prng_.coin()) {
      f.marker = RebuildMarker{SessionId{id<Epoch>(), number()}, id<Lsn>(), maybe<Lsn>()};
    }
    f.damage = static_cast<Damage>(prng_.below(4));
    f.size = id<BlockCount>();
    f.terms = terms();
    return f;
  }
  RecordHeader record() {
    RecordHeader r;
    r.lsn = Lsn{1 + number() / 2};
    r.term = Term{1 + number() / 2};
    r.kind = static_cast<RecordKind>(prng_.range(1, 7));
    r.flags = static_cast<std::uint8_t>(prng_.below(4));
    r.attachment = id<AttachmentId>();
    r.request = id<RequestNumber>();
    r.low_mark = id<RequestNumber>();
    r.lba = Lba{prng_.below(1u << 30)};
    const bool none = r.kind == RecordKind::term_start || r.kind == RecordKind::snapshot ||
                      r.kind == RecordKind::snapshot_delete;
    r.blocks = BlockCount{none ? 0 : 1 + prng_.below(8)};
    r.argument = number();
    r.chain = number();
    return r;
  }
  RecordHeader write_record() {
    RecordHeader r = record();
    r.kind = RecordKind::write;
    r.blocks = BlockCount{1 + prng_.below(8)};
    return r;
  }
  Append append() {
    Append m;
    m.header = record();
    if (m.header.kind != RecordKind::write) m.header.flags &= record_flag_fua;
    if (m.header.kind == RecordKind::write && (m.header.flags & record_flag_lost) == 0) {
      m.slot = payload(m.header.blocks.value());
      m.header.payload_digest = digest_crcs(pool_.crcs(m.slot));
    } else if (m.header.kind == RecordKind::write) {
      m.slot = payload(1);  // its CRCs
      m.header.payload_digest = digest_crcs(crcs_of_lost(m.header, pool_, m.slot));
    }
    m.committed = maybe<Lsn>();
    m.stable = maybe<Lsn>();
    m.sent_at = id<Instant>();
    return m;
  }
  BaseBlocks base_blocks() {
    BaseBlocks m{number(), Lba{prng_.below(1u << 30)}, id<Lsn>(), 0, no_slot};
    if (prng_.coin()) {
      m.present = prng_.next() >> prng_.below(63);
      if (m.present != 0) m.slot = payload(static_cast<std::size_t>(std::popcount(m.present)));
    }
    return m;
  }
  BaseMap base_map() {
    const Lba from{prng_.below(1u << 30)};
    const auto lines = static_cast<std::uint32_t>(prng_.below(map_lines_max + 1));
    BaseMap m{from, from + BlockCount{1 + prng_.below(1u << 20)}, lines, no_slot};
    if (lines > 0) m.slot = payload(map_payload_for(lines) / limits::block_bytes);
    return m;
  }
  PeerMessage peer_message(std::size_t kind) {
    const std::uint64_t n = number();
    switch (kind) {
      case 0: return Hello{id128<Incarnation>(), id<ProcessStart>(), id<Instant>()};
      case 1:
        facts_ = facts();
        return HelloReply{&facts_, id<Instant>()};
      case 2: return StartStream{Lsn{1 + n / 2}, number(), id<Lsn>()};
      case 3: return Rewind{id<Lsn>()};
      case 4: return RewindDone{id<Lsn>()};
      case 5: return append();
      case 6: return Ack{Lsn{n}, Lsn{n / 2}, Lsn{n / 3}, id<Instant>()};
      case 7: return Nack{static_cast<NackReason>(prng_.range(1, 9)), id<Lsn>(), id<Epoch>()};
      case 8: return Barrier{number(), id<Lsn>(), id<Instant>()};
      case 9: return BarrierDone{number(), prng_.coin(), id<Lsn>(), id<Instant>()};
      case 10: return Heartbeat{maybe<Lsn>(), maybe<Lsn>(), id<Lsn>(), id<Instant>()};
      case 11: return HeartbeatReply{Lsn{n}, Lsn{n / 2}, Lsn{n / 3}, id<Instant>()};
      case 12:
        terms_ = terms();
        return StartRebuild{id<Lsn>(), id<Term>(), number(), &terms_, number(), id<Lsn>()};
      case 13: return RebuildReady{id<Lsn>(), maybe<Lsn>()};
      case 14: return AskBaseMap{Lba{n}, maybe<Lsn>()};
      case 15: return base_map();
      case 16: return base_blocks();
      case 17: return BaseAck{number()};
      case 18: return BaseEnd{number(), number(), number(), number()};
      case 19: return RebuildComplete{number(), number(), id<Lsn>(), number()};
      case 20: return RebuildAccepted{id<Lsn>()};
      case 21: return MarkerCleared{};
      case 22:
        requests_ = requests();
        return BaseRequests{&requests_};
      case 23: return FetchRecord{write_record(), prng_.coin()};
      case 24: {
        RecordPayload m{write_record(), static_cast<FetchResult>(prng_.range(1, 4)), prng_.coin(),
                        no_slot};
        if (m.result != FetchResult::found) return m;
        m.slot = payload(m.header.blocks.value());
        m.header.payload_digest = digest_crcs(pool_.crcs(m.slot));
        return m;
      }
      case 25:
        return FetchBlocks{number(), Lba{prng_.below(1u << 30)}, BlockCount{1 + n % 256},
                           prng_.coin()};
      case 26:
        return BlocksPayload{number(), prng_.coin() ? payload(1 + n % 4) : no_slot, prng_.coin()};
      default: ADD_FAILURE() << "no such kind"; return MarkerCleared{};
    }
  }
  Envelope envelope() {
    return {id128<VolumeId>(), id<ReplicaId>(), id<ReplicaId>(), id<Epoch>(), number(),
            id<EndpointVersion>()};
  }
  ClientRequest client_request() {
    ClientRequest r;
    r.op = static_cast<ClientOp>(prng_.range(1, 5));
    r.fua = prng_.coin();
    r.attachment = id<AttachmentId>();
    r.connection = id<ConnectionNumber>();
    r.request = id<RequestNumber>();
    r.low_mark = RequestNumber{r.request.value() / 2};
    r.lba = Lba{prng_.below(1u << 30)};
    if (r.op != ClientOp::flush) r.blocks = BlockCount{1 + prng_.below(8)};
    if (r.op == ClientOp::write) {
      r.slot = payload(r.blocks.value());
      r.payload_digest = digest_crcs(pool_.crcs(r.slot));
    }
    return r;
  }
  ClientDone client_done() {
    ClientDone d;
    d.attachment = id<AttachmentId>();
    d.connection = id<ConnectionNumber>();
    d.request = id<RequestNumber>();
    d.status = static_cast<ClientStatus>(prng_.below(11));
    d.epoch = id<Epoch>();
    d.seen = Position{id<Term>(), id<Lsn>()};
    if (prng_.coin()) d.slot = payload(1 + prng_.below(4));
    return d;
  }
  Prng& prng() { return prng_; }

 private:
  BufferPool& pool_;
  Prng prng_;
  ReplicaFacts facts_;
  TermTable terms_;
  RequestTables requests_;
  std::vector<SlotRef> slots_;
};

constexpr std::size_t peer_kinds = std::variant_size_v<PeerMessage>;

struct WireTest : testing::Test {
  BufferPool pool{16 * 1024 * 1024};
  MetaBuffer meta{};
  DecodeScratch scratch;
};

TEST_F(WireTest, EveryPeerMessageComesBackWithAllItsFields) {
  Draw draw(pool, 1);
  for (std::size_t kind = 0; kind < peer_kinds; ++kind) {
    for (int round = 0; round < 100; ++round) {
      const Envelope envelope = draw.envelope();
      const PeerMessage sent = draw.peer_message(kind);
      ASSERT_EQ(sent.index(), kind);
      const Frame frame = encode(envelope, sent, pool, meta);
      const auto decoded = decode_peer(frame, pool, scratch);
      ASSERT_TRUE(decoded.has_value()) << "kind " << kind << ": " << decoded.error().what;
      ASSERT_EQ(fields(decoded->envelope), fields(envelope));
      ASSERT_EQ(decoded->message.index(), kind);
      std::visit(
          [&](const auto& m) {
            using T = std::decay_t<decltype(m)>;
            EXPECT_EQ(fields(std::get<T>(decoded->message)), fields(m)) << "kind " << kind;
            if constexpr (std::is_same_v<T, HelloReply>) {
              EXPECT_EQ(fields(scratch.facts), fields(*m.facts));
            }
            if constexpr (std::is_same_v<T, StartRebuild>) {
              EXPECT_EQ(scratch.terms, *m.terms);
            }
            if constexpr (std::is_same_v<T, BaseRequests>) {
              EXPECT_EQ(scratch.requests, *m.tables);
            }
          },
          sent);
      draw.drop_payloads();
    }
  }
}

TEST_F(WireTest, EveryClientMessageComesBackWithAllItsFields) {
  Draw draw(pool, 2);
  const VolumeId volume{3, 4};
  for (int round = 0; round < 500; ++round) {
    const ClientRequest request = draw.client_request();
    const auto request2 = decode_client_request(encode(volume, request, pool, meta), pool);
    ASSERT_TRUE(request2.has_value()) << request2.error().what;
    EXPECT_EQ(fields(*request2), fields(request));

    const ClientDone done = draw.client_done();
    const auto done2 = decode_client_done(encode(volume, done, pool, meta));
    ASSERT_TRUE(done2.has_value());
    EXPECT_EQ(fields(*done2), fields(done));

    ClientAttach attach{volume, draw.id128<Incarnation>(), draw.id<AttachmentId>(),
                        draw.id<ConnectionNumber>(), std::nullopt, draw.id<Epoch>()};
    if (draw.prng().coin()) attach.seen = Position{draw.id<Term>(), draw.id<Lsn>()};
    const auto attach2 = decode_client_attach(encode(attach, meta));
    ASSERT_TRUE(attach2.has_value());
    EXPECT_EQ(fields(*attach2), fields(attach));

    const ClientAttachReply reply{static_cast<ClientStatus>(draw.prng().below(11)),
                                  draw.id<Epoch>(), draw.id<Epoch>(), draw.id<ReplicaId>(),
                                  draw.id<BlockCount>()};
    const auto reply2 =
        decode_client_attach_reply(encode(volume, reply, ConnectionNumber{9}, meta));
    ASSERT_TRUE(reply2.has_value());
    EXPECT_EQ(fields(*reply2), fields(reply));

    const WhoIsPrimary question{volume, draw.id128<Incarnation>()};
    const auto question2 = decode_who_is_primary(encode(question, meta));
    ASSERT_TRUE(question2.has_value());
    EXPECT_EQ(*question2, question);

    const PrimaryIs answer{volume, draw.id<Epoch>(), draw.maybe<ReplicaId>(),
                           draw.prng().coin()};
    const auto answer2 = decode_primary_is(encode(answer, meta));
    ASSERT_TRUE(answer2.has_value());
    EXPECT_EQ(*answer2, answer);
    draw.drop_payloads();
  }
}

// A frame that owns its meta bytes, so that they can be damaged.
struct Copy {
  explicit Copy(const Frame& from)
      : header(from.header), meta(from.meta.begin(), from.meta.end()), payload(from.payload) {}
  [[nodiscard]] Frame frame() const { return {header, meta, payload}; }
  void resize(std::size_t size) {
    meta.resize(size);
    header.meta_length = static_cast<std::uint16_t>(size);
  }
  FrameHeader header;
  std::vector<std::byte> meta;
  Slot payload;
};

bool decodes(const Frame& frame, const BufferPool& pool, DecodeScratch& scratch) {
  switch (frame.header.type) {
    case FrameType::client_attach: return decode_client_attach(frame).has_value();
    case FrameType::client_attach_reply: return decode_client_attach_reply(frame).has_value();
    case FrameType::client_read:
    case FrameType::client_write:
    case FrameType::client_flush:
    case FrameType::client_discard:
    case FrameType::client_zero: return decode_client_request(frame, pool).has_value();
    case FrameType::client_done: return decode_client_done(frame).has_value();
    case FrameType::who_is_primary: return decode_who_is_primary(frame).has_value();
    case FrameType::primary_is: return decode_primary_is(frame).has_value();
    default: return decode_peer(frame, pool, scratch).has_value();
  }
}

// One frame of every kind there is.
std::vector<Copy> one_of_each(Draw& draw, BufferPool& pool, MetaBuffer& meta) {
  std::vector<Copy> frames;
  const VolumeId volume{1, 2};
  for (std::size_t kind = 0; kind < peer_kinds; ++kind) {
    frames.emplace_back(encode(draw.envelope(), draw.peer_message(kind), pool, meta));
  }
  for (int i = 0; i < 10; ++i) {
    frames.emplace_back(encode(volume, draw.client_request(), pool, meta));
  }
  frames.emplace_back(encode(volume, draw.client_done(), pool, meta));
  frames.emplace_back(encode(ClientAttach{volume}, meta));
  frames.emplace_back(encode(volume, ClientAttachReply{}, ConnectionNumber{1}, meta));
  frames.emplace_back(encode(WhoIsPrimary{volume}, meta));
  frames.emplace_back(encode(PrimaryIs{volume}, meta));
  return frames;
}

TEST_F(WireTest, EveryTruncationAndEveryTrailingByteIsAnError) {
  Draw draw(pool, 3);
  for (int round = 0; round < 5; ++round) {
    for (const Copy& good : one_of_each(draw, pool, meta)) {
      ASSERT_TRUE(decodes(good.frame(), pool, scratch));
      for (std::size_t size = 0; size < good.meta.size(); ++size) {
        Copy bad = good;
        bad.resize(size);
        ASSERT_FALSE(decodes(bad.frame(), pool, scratch))
            << "type " << static_cast<int>(good.header.type) << " cut to " << size;
      }
      Copy longer = good;
      longer.resize(good.meta.size() + 1);
      ASSERT_FALSE(decodes(longer.frame(), pool, scratch));
    }
    draw.drop_payloads();
  }
}

// The meta CRC catches flipped bytes; behind it the decoder still must bear every one of them. What
// it lets pass must be a message of its own: encoded again, it is the same bytes.
TEST_F(WireTest, FlippedBytesNeverCrashAndNeverDecodeToSomethingElse) {
  Draw draw(pool, 4);
  for (const Copy& good : one_of_each(draw, pool, meta)) {
    for (std::size_t at = 0; at < good.meta.size(); ++at) {
      for (const int flip : {0x01, 0x80, 0xff}) {
        Copy bad = good;
        bad.meta[at] ^= static_cast<std::byte>(flip);
        const Frame frame = bad.frame();
        const std::size_t crc_bytes = frame.header.payload_length / 4096 * 4;
        if (static_cast<int>(frame.header.type) >= 32) {
          static_cast<void>(decodes(frame, pool, scratch));
          continue;
        }
        const auto decoded = decode_peer(frame, pool, scratch);
        if (!decoded.has_value() || at < crc_bytes) continue;
        const Frame again = encode(decoded->envelope, decoded->message, pool, meta);
        ASSERT_TRUE(std::equal(again.meta.begin(), again.meta.end(), bad.meta.begin(),
                               bad.meta.end()))
            << "type " << static_cast<int>(frame.header.type) << " byte " << at;
      }
    }
  }
}

TEST_F(WireTest, RandomMetaBytesNeverCrash) {
  Draw draw(pool, 5);
  Prng prng(6);
  const Slot slot = draw.payload(2);
  for (int round = 0; round < 100000; ++round) {
    std::vector<std::byte> bytes(prng.below(300));
    for (auto& byte : bytes) byte = static_cast<std::byte>(prng.next() >> prng.below(64));
    Frame frame;
    frame.header.type = static_cast<FrameType>(prng.below(64));
    frame.header.flags = static_cast<std::uint8_t>(prng.below(3));
    frame.header.sequence = prng.next();
    if (may_carry_payload(frame.header.type) && prng.coin()) {
      frame.payload = slot;
      frame.header.payload_length = 8192;
    }
    frame.header.meta_length = static_cast<std::uint16_t>(bytes.size());
    frame.meta = bytes;
    static_cast<void>(decodes(frame, pool, scratch));
  }
}

TEST_F(WireTest, APayloadThatDoesNotBelongToItsRecordIsRefused) {
  Draw draw(pool, 7);
  Append append;
  append.header.lsn = Lsn{1};
  append.header.term = Term{1};
  append.header.blocks = BlockCount{2};
  append.slot = draw.payload(2);
  append.header.payload_digest = digest_crcs(pool.crcs(append.slot));
  ASSERT_TRUE(decode_peer(encode({}, append, pool, meta), pool, scratch).has_value());

  Append other_digest = append;
  other_digest.header.payload_digest ^= 1;
  EXPECT_FALSE(decode_peer(encode({}, other_digest, pool, meta), pool, scratch).has_value());
  Append fewer_blocks = append;
  fewer_blocks.header.blocks = BlockCount{1};
  EXPECT_FALSE(decode_peer(encode({}, fewer_blocks, pool, meta), pool, scratch).has_value());
  Append lost = append;
  lost.header.flags = record_flag_lost;
  EXPECT_FALSE(decode_peer(encode({}, lost, pool, meta), pool, scratch).has_value());
  Append no_lsn = append;
  no_lsn.header.lsn = Lsn{};
  EXPECT_FALSE(decode_peer(encode({}, no_lsn, pool, meta), pool, scratch).has_value());
}

TEST_F(WireTest, MarksOutOfOrderAndUnsortedTermsAreRefused) {
  Draw draw(pool, 8);
  ReplicaFacts facts = draw.facts();
  facts.terms = {{Term{2}, Lsn{1}, 0}, {Term{3}, Lsn{5}, 1}};
  const auto passes = [&] {
    return decode_peer(encode({}, HelloReply{&facts, Instant{}}, pool, meta), pool, scratch)
        .has_value();
  };
  ASSERT_TRUE(passes());
  std::swap(facts.terms[0], facts.terms[1]);
  EXPECT_FALSE(passes());
  std::swap(facts.terms[0], facts.terms[1]);
  facts.marks.durable = Lsn{facts.marks.written.value() + 1};
  EXPECT_FALSE(passes());
}

}  // namespace
}  // namespace seawall::runtime
