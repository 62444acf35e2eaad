// AttachmentFile: what an attachment remembers beyond its daemon, and every way to be torn.
#include "node/io/attachment_file.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <iterator>

namespace seawall::io {
namespace {

using runtime::AttachmentMemory;
using runtime::OpenRequest;

constexpr BootId this_boot{1, 2};

ServedExport some_export() {
  ServedExport served;
  served.view.volume = VolumeId{0xabc, 0xdef};
  served.view.volume_name = "db";
  served.view.incarnation = Incarnation{5, 6};
  served.view.attachment = AttachmentId{9};
  served.view.epoch = Epoch{3};
  served.view.revision = Revision{14};
  served.view.primary = ReplicaId{77};
  served.view.size = BlockCount{4096};
  served.view.io_timeout_ms = 1234;
  served.view.holder_start = ProcessStart{55};
  served.view.addresses = {{ReplicaId{77}, NodeId{1}, EndpointVersion{2}, "127.0.0.1:7000"},
                           {ReplicaId{78}, NodeId{3}, EndpointVersion{4}, "127.0.0.2:7000"}};
  served.socket_path = "/run/db.sock";
  served.export_name = "data";
  return served;
}

class IoAttachmentFile : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/seawall-attachment-XXXXXX";
    ASSERT_NE(::mkdtemp(name), nullptr);
    directory_ = name;
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  std::unique_ptr<AttachmentFile> make() {
    auto made = AttachmentFile::create(directory_, this_boot, some_export());
    EXPECT_TRUE(made.has_value());
    return std::move(made).value();
  }
  static std::string bytes_of(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  }
  static void write_bytes(const std::string& path, const std::string& bytes) {
    std::ofstream(path, std::ios::binary) << bytes;
  }
  static auto text(const AttachmentMemory& m) {
    return std::tuple(m.attachment, m.connection, m.next_request, m.seen, m.proved_by);
  }

  std::string directory_;
};

TEST_F(IoAttachmentFile, P164_everything_that_was_stored_is_there_for_the_next_daemon) {
  std::string path;
  {
    const auto file = make();
    path = file->path();
    EXPECT_FALSE(file->continues());
    EXPECT_EQ(file->load().next_request, RequestNumber{1});
    file->on_connection(ConnectionNumber{4});
    file->on_request({RequestNumber{1}, ClientOp::write, Lba{8}, BlockCount{2}, Instant{100}});
    file->on_request({RequestNumber{2}, ClientOp::read, Lba{9}, BlockCount{1}, Instant{101}});
    file->on_request({RequestNumber{3}, ClientOp::flush, Lba{}, BlockCount{}, Instant{102}});
    file->on_seen(Position{Term{3}, Lsn{50}}, Epoch{3});
    file->on_finished(RequestNumber{2});
  }
  EXPECT_EQ(AttachmentFile::list(directory_), std::vector<std::string>{path});
  auto next = AttachmentFile::open(path, this_boot);
  ASSERT_TRUE(next.has_value()) << next.error().what;
  EXPECT_TRUE((*next)->continues());
  const std::vector<OpenRequest> open = (*next)->open_requests();
  ASSERT_EQ(open.size(), 2u);
  EXPECT_EQ(open[0].number, RequestNumber{1});
  EXPECT_EQ(open[0].op, ClientOp::write);
  EXPECT_EQ(open[0].lba, Lba{8});
  EXPECT_EQ(open[0].first_submitted, Instant{100});
  EXPECT_EQ(open[1].op, ClientOp::flush);
  const AttachmentMemory memory = (*next)->load();
  EXPECT_EQ(memory.attachment, AttachmentId{9});
  EXPECT_EQ(memory.connection, ConnectionNumber{4});
  EXPECT_EQ(memory.next_request, RequestNumber{4});
  EXPECT_EQ(memory.seen, (Position{Term{3}, Lsn{50}}));
  EXPECT_EQ(memory.proved_by, Epoch{3});
  EXPECT_TRUE((*next)->open_requests().empty()) << "they have ended with their connection";
}

TEST_F(IoAttachmentFile, F22_what_was_served_where_comes_back_with_the_newest_view) {
  std::string path;
  {
    const auto file = make();
    path = file->path();
    control::AttachmentView view = some_export().view;
    view.epoch = Epoch{8};
    view.addresses[1].address = "127.0.0.9:7000";
    file->on_view(view);
    view.revoked = true;
    view.epoch = Epoch{9};
    file->on_view(view);  // nothing to serve again
  }
  auto next = AttachmentFile::open(path, this_boot);
  ASSERT_TRUE(next.has_value());
  const ServedExport served = (*next)->served();
  EXPECT_EQ(served.socket_path, "/run/db.sock");
  EXPECT_EQ(served.export_name, "data");
  EXPECT_EQ(served.view.volume, (VolumeId{0xabc, 0xdef}));
  EXPECT_EQ(served.view.volume_name, "db");
  EXPECT_EQ(served.view.epoch, Epoch{8});
  EXPECT_EQ(served.view.io_timeout_ms, 1234u);
  ASSERT_EQ(served.view.addresses.size(), 2u);
  EXPECT_EQ(served.view.addresses[1].address, "127.0.0.9:7000");
  EXPECT_EQ(served.view.addresses[1].node, NodeId{3});
  EXPECT_EQ(served.view.addresses[1].version, EndpointVersion{4});
  EXPECT_FALSE(served.view.revoked);
}

// A kill between any two stores: some of the changed bytes are new, the others old.
TEST_F(IoAttachmentFile, P164_a_kill_at_any_byte_leaves_the_state_before_or_after) {
  const auto file = make();
  file->on_connection(ConnectionNumber{1});
  for (std::uint64_t round = 1; round <= 12; ++round) {
    const auto before_memory = text(file->load());
    const std::string before = bytes_of(file->path());
    switch (round % 4) {
      case 0: file->on_connection(ConnectionNumber{round}); break;
      case 1:
        file->on_request({RequestNumber{round}, ClientOp::write, Lba{round}, BlockCount{1},
                          Instant{round}});
        break;
      case 2: file->on_seen(Position{Term{round}, Lsn{100 * round}}, Epoch{round}); break;
      case 3: {
        control::AttachmentView view = some_export().view;
        view.epoch = Epoch{10 + round};
        file->on_view(view);
        break;
      }
    }
    const std::string after = bytes_of(file->path());
    ASSERT_EQ(before.size(), after.size());
    std::vector<std::size_t> changed;
    for (std::size_t i = 0; i < after.size(); ++i) {
      if (before[i] != after[i]) changed.push_back(i);
    }
    ASSERT_FALSE(changed.empty());
    const std::string torn_path = directory_ + "/torn";
    const auto after_memory = text(file->load());
    for (const bool from_the_end : {false, true}) {
      std::string torn = before;
      for (std::size_t n = 0; n <= changed.size(); ++n) {
        write_bytes(torn_path, torn);
        auto next = AttachmentFile::open(torn_path, this_boot);
        ASSERT_TRUE(next.has_value()) << "round " << round << " after " << n << " bytes";
        const auto memory = text((*next)->load());
        ASSERT_TRUE(memory == before_memory || memory == after_memory) << "round " << round;
        ASSERT_EQ((*next)->served().socket_path, "/run/db.sock");
        if (n == changed.size()) break;
        const std::size_t at = from_the_end ? changed[changed.size() - 1 - n] : changed[n];
        torn[at] = after[at];
      }
    }
  }
}

TEST_F(IoAttachmentFile, P164_a_file_of_another_boot_or_with_damage_is_not_used) {
  const std::string path = make()->path();
  const std::string good = bytes_of(path);
  EXPECT_FALSE(AttachmentFile::open(path, BootId{1, 3}).has_value()) << "power was lost";
  EXPECT_FALSE(AttachmentFile::open(directory_ + "/none", this_boot).has_value());
  write_bytes(path, good.substr(0, good.size() - 1));
  EXPECT_FALSE(AttachmentFile::open(path, this_boot).has_value());
  for (const std::size_t at : {std::size_t{0}, std::size_t{4}, std::size_t{9}, std::size_t{24}}) {
    std::string bad = good;
    bad[at] = static_cast<char>(bad[at] ^ 1);
    write_bytes(path, bad);
    EXPECT_FALSE(AttachmentFile::open(path, this_boot).has_value()) << "byte " << at;
  }
  write_bytes(path, good);
  EXPECT_TRUE(AttachmentFile::open(path, this_boot).has_value());
}

TEST_F(IoAttachmentFile, A_path_that_does_not_fit_and_a_directory_that_cannot_be_made_are_refused) {
  ServedExport served = some_export();
  served.socket_path = std::string(300, 'x');
  EXPECT_FALSE(AttachmentFile::create(directory_, this_boot, served).has_value());
  write_bytes(directory_ + "/file", "");
  EXPECT_FALSE(
      AttachmentFile::create(directory_ + "/file/x", this_boot, some_export()).has_value());
  EXPECT_TRUE(AttachmentFile::list(directory_).empty());
  EXPECT_TRUE(AttachmentFile::list(directory_ + "/none").empty());
}

TEST_F(IoAttachmentFile, Forgotten_it_is_gone_and_a_new_generation_replaces_the_old_one) {
  const auto old = make();
  old->on_seen(Position{Term{3}, Lsn{50}}, Epoch{3});
  const auto fresh = make();
  EXPECT_EQ(fresh->load().seen, std::nullopt);
  EXPECT_EQ(AttachmentFile::list(directory_).size(), 1u);
  fresh->forget();
  EXPECT_TRUE(AttachmentFile::list(directory_).empty());
}

}  // namespace
}  // namespace seawall::io
