// What strangers may put on a link of a node: each is counted, costs that link, and nothing else.
#include <vector>

#include <gtest/gtest.h>

#include "node/runtime/byte_codec.h"
#include "tests/support/three_nodes.h"
#include "wal/crc32c.h"

namespace seawall::testing {
namespace {

using runtime::Endpoint;
using runtime::Frame;
using runtime::FrameHeader;
using runtime::FrameType;

struct Stranger final : runtime::LinkUser {
  void on_connected(LinkId) override { connected = true; }
  void on_frame(LinkId, const Frame& frame) override {
    answers.push_back(frame.header.type);
    if (frame.header.type == FrameType::primary_is) {
      primary_is = *runtime::decode_primary_is(frame);
    } else if (frame.header.type == FrameType::client_attach_reply) {
      statuses.push_back(runtime::decode_client_attach_reply(frame)->status);
    } else if (frame.header.type == FrameType::client_done) {
      statuses.push_back(runtime::decode_client_done(frame)->status);
    }
  }
  void on_closed(LinkId) override { closed = true; }
  bool connected = false, closed = false;
  std::vector<FrameType> answers;
  std::vector<ClientStatus> statuses;
  runtime::PrimaryIs primary_is;
};

class Garbage : public ThreeNodes {
 protected:
  void SetUp() override {
    ThreeNodes::SetUp();
    promote(1, 0);
    until([&] { return serves(0); });
    attach_on(1);
    EXPECT_EQ(wait(write(1, 1, 1)).status, ClientStatus::ok);
  }
  void TearDown() override {
    // Whatever it was: the volume serves, and every slot comes back (asked by the base).
    EXPECT_EQ(wait(write(2, 1, 2)).status, ClientStatus::ok);
    EXPECT_TRUE(serves(0));
    ThreeNodes::TearDown();
  }
  LinkId dial() {
    link_ = from_.dial(Endpoint{address(0)}, stranger_);
    settle();
    EXPECT_TRUE(stranger_.connected);
    return link_;
  }
  void send(const Frame& frame) {
    from_.send(link_, frame);
    settle();
  }
  Frame hello(VolumeId of, ReplicaId to) {
    message::Envelope envelope{of, replica(1), to, Epoch{1}, 1, EndpointVersion{1}};
    return runtime::encode(envelope, message::Hello{incarnation, ProcessStart{1}, Instant{}},
                           pool_, meta_);
  }

  runtime::BufferPool pool_{8 * 1024 * 1024};
  LoopbackTransport from_{network_, pool_, "stranger"};
  Stranger stranger_;
  LinkId link_;
  runtime::MetaBuffer meta_;
};

TEST_F(Garbage, BytesThatAreNoFrameCloseTheLink) {
  Prng prng(1);
  for (int round = 0; round < 50; ++round) {
    stranger_.closed = false;
    dial();
    std::vector<std::byte> bytes(prng.below(300));
    for (auto& byte : bytes) byte = static_cast<std::byte>(prng.next());
    from_.send_bytes(link_, bytes);
    settle();
    EXPECT_TRUE(stranger_.closed);
  }
}

TEST_F(Garbage, AFirstFrameThatOpensNoLinkIsRefused) {
  dial();
  send(runtime::encode(message::Envelope{volume, replica(1), replica(0), Epoch{1}, 1, {}},
                       message::Ack{}, pool_, meta_));
  EXPECT_TRUE(stranger_.closed);
  EXPECT_EQ(node(0).host.counters().unadmitted, 1u);
}

TEST_F(Garbage, AForeignVolumeOrReplicaIsRefused) {
  dial();
  send(hello({66, 66}, replica(0)));
  EXPECT_TRUE(stranger_.closed);
  stranger_.closed = false;
  dial();
  send(hello(volume, ReplicaId{999}));
  EXPECT_TRUE(stranger_.closed);
  stranger_.closed = false;
  dial();
  send(runtime::encode(ClientAttach{{66, 66}, incarnation}, meta_));
  EXPECT_TRUE(stranger_.closed);
  EXPECT_EQ(node(0).host.counters().unknown, 3u);
}

TEST_F(Garbage, AMalformedMessageWithGoodChecksumsClosesItsLinkOnly) {
  dial();
  send(hello(volume, replica(0)));
  FrameHeader header;
  header.type = FrameType::heartbeat;
  header.volume = volume;
  const std::vector<std::byte> short_meta(5);
  header.meta_length = 5;
  send(Frame{header, short_meta, no_slot});
  EXPECT_TRUE(stranger_.closed);
  EXPECT_EQ(host(0)->counters().malformed, 1u);
}

TEST_F(Garbage, ARecordBeyondTheVolumeIsNobodys) {
  link_ = from_.dial(Endpoint{address(1)}, stranger_);  // it speaks like the primary
  settle();
  const message::Envelope envelope{volume, replica(0), replica(1), Epoch{1}, 1000, {}};
  send(runtime::encode(envelope, message::Hello{incarnation, ProcessStart{1}, Instant{}}, pool_,
                       meta_));
  RecordHeader header;
  header.lsn = Lsn{1};
  header.term = Term{1};
  header.lba = Lba{1u << 30};
  header.blocks = BlockCount{1};
  send(runtime::encode(envelope, message::FetchRecord{header, false}, pool_, meta_));
  pass(2000);
  ASSERT_FALSE(stranger_.answers.empty());
  EXPECT_EQ(stranger_.answers.back(), FrameType::record_payload);
}

TEST_F(Garbage, AClientThatSpeaksLikeAReplicaLosesItsLink) {
  dial();
  ClientAttach attach{volume, incarnation, AttachmentId{1}, ConnectionNumber{1}, {}, {}};
  send(runtime::encode(attach, meta_));
  const std::uint64_t before = node(0).pool.free_bytes();
  message::Append append;
  append.header.lsn = Lsn{1};
  append.header.term = Term{1};
  append.header.blocks = BlockCount{1};
  append.slot = pool_.take(4096);
  pool_.crcs(append.slot)[0] = wal::crc32c(pool_.bytes(append.slot));
  send(runtime::encode(message::Envelope{volume, replica(1), replica(0), Epoch{9}, 1, {}}, append,
                       pool_, meta_));
  pool_.unref(append.slot);
  EXPECT_TRUE(stranger_.closed);
  EXPECT_EQ(node(0).pool.free_bytes(), before) << "no memory for a type that is not admitted";
}

TEST_F(Garbage, AnyoneMayAskForThePrimaryAndManyAskersAreBounded) {
  std::vector<LinkId> links;
  for (int i = 0; i < 100; ++i) {
    links.push_back(dial());
    send(runtime::encode(runtime::WhoIsPrimary{volume, incarnation}, meta_));
  }
  EXPECT_EQ(stranger_.answers.size(), 100u);
  EXPECT_EQ(stranger_.primary_is.primary, replica(0));
  EXPECT_EQ(stranger_.primary_is.epoch, Epoch{1});
  EXPECT_TRUE(stranger_.primary_is.serving_here);
  EXPECT_LE(from_.open_links(), runtime::NodeHost::fresh_max);
  send(runtime::encode(runtime::WhoIsPrimary{volume, {1, 2}}, meta_));
  EXPECT_FALSE(stranger_.primary_is.primary.has_value()) << "a foreign incarnation learns nothing";
}

TEST_F(Garbage, ARequestOfAnUnknownAttachmentIsNotServed) {
  dial();
  ClientAttach attach{volume, incarnation, AttachmentId{77}, ConnectionNumber{1}, {}, {}};
  send(runtime::encode(attach, meta_));
  ClientRequest request;
  request.op = ClientOp::flush;
  request.attachment = AttachmentId{77};
  request.connection = ConnectionNumber{1};
  request.request = RequestNumber{1};
  request.low_mark = RequestNumber{1};
  send(runtime::encode(volume, request, pool_, meta_));
  EXPECT_FALSE(stranger_.statuses.empty());
  for (const ClientStatus status : stranger_.statuses) EXPECT_NE(status, ClientStatus::ok);
}

}  // namespace
}  // namespace seawall::testing
