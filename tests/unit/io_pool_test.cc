#include "node/io/pool.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "node/io/pool_replicas.h"
#include "tests/support/io_loop.h"

namespace seawall::io {
namespace {

using testing::Loops;
using testing::ScratchDirectory;

Result<std::unique_ptr<Pool>> open_pool(const std::string& path, const std::string& name = "n") {
  return Pool::open({.path = path, .node_name = name, .lock_wait_ms = 30});
}

std::string text_of(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

TEST(IoPool, A_new_pool_keeps_its_identity) {
  ScratchDirectory scratch;
  const std::string path = scratch / "deep/er/pool";
  std::string id;
  NodeId node;
  {
    auto pool = open_pool(path);
    ASSERT_TRUE(pool.has_value()) << pool.error().what;
    id = (*pool)->pool_id();
    node = (*pool)->node();
    EXPECT_GT((*pool)->space().bytes, 0U);
  }
  EXPECT_EQ(id.size(), 32U);
  EXPECT_NE(node, NodeId{});
  auto again = open_pool(path);
  ASSERT_TRUE(again.has_value());
  EXPECT_EQ((*again)->pool_id(), id);
  EXPECT_EQ((*again)->node(), node);
  struct stat info{};
  ASSERT_EQ(::stat((path + "/pool.json").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600U);
}

TEST(IoPool, W29_a_pool_in_use_foreign_damaged_or_newer_is_refused_and_not_touched) {
  ScratchDirectory scratch;
  const std::string path = scratch / "pool";
  auto first = open_pool(path);
  ASSERT_TRUE(first.has_value());
  EXPECT_EQ(open_pool(path).error().code, Errc::busy);
  first.value().reset();
  EXPECT_EQ(open_pool(path, "other").error().code, Errc::refused);
  const std::string good = text_of(path + "/pool.json");
  for (const std::string& bad : {std::string(), std::string("{"), std::string("[]"),
                                 std::string("{}"), good.substr(0, good.size() / 2),
                                 std::string(4096, '\0'), std::string(100'000, 'x'),
                                 std::string(R"({"format":1,"pool":"zz","node":"1","name":"n"})"),
                                 std::string(R"({"format":-1})"),
                                 std::string(R"({"format":1,"node":"0","name":"n",)"
                                             R"("pool":"0123456789abcdef0123456789abcdef"})")}) {
    std::ofstream(path + "/pool.json") << bad;
    const auto refused = open_pool(path);
    ASSERT_FALSE(refused.has_value()) << bad.substr(0, 60);
    EXPECT_EQ(text_of(path + "/pool.json"), bad);
    EXPECT_NE(pool_sentence(path, refused.error()).find(path), std::string::npos);
  }
  std::ofstream(path + "/pool.json") << R"({"format":2,"anything":"else"})";
  const auto newer = open_pool(path);
  ASSERT_FALSE(newer.has_value());
  EXPECT_EQ(newer.error().code, Errc::unknown_version);
  EXPECT_NE(pool_sentence(path, newer.error()).find("2"), std::string::npos);
  std::ofstream(path + "/pool.json") << good;
  EXPECT_TRUE(open_pool(path).has_value()) << "its repair is enough";
}

TEST(IoPool, Replicas_without_pool_json_are_not_given_a_new_identity) {
  ScratchDirectory scratch;
  const std::string path = scratch / "pool";
  { ASSERT_TRUE(open_pool(path).has_value()); }
  std::filesystem::create_directory(path + "/replicas/5");
  std::filesystem::remove(path + "/pool.json");
  EXPECT_EQ(open_pool(path).error().code, Errc::corrupt);
}

TEST(IoPool, What_was_half_made_or_half_removed_is_swept_at_the_start) {
  ScratchDirectory scratch;
  const std::string path = scratch / "pool";
  { ASSERT_TRUE(open_pool(path).has_value()); }
  std::filesystem::create_directories(path + "/replicas/5.new/log");
  std::filesystem::create_directories(path + "/replicas/6.gone");
  std::filesystem::create_directories(path + "/replicas/7");
  ASSERT_TRUE(open_pool(path).has_value());
  EXPECT_FALSE(std::filesystem::exists(path + "/replicas/5.new"));
  EXPECT_FALSE(std::filesystem::exists(path + "/replicas/6.gone"));
  EXPECT_TRUE(std::filesystem::exists(path + "/replicas/7"));
}

class IoPoolReplicas : public ::testing::Test {
 protected:
  void SetUp() override {
    pool_ = std::move(open_pool(scratch_ / "pool")).value();
    make();
  }
  void make() {
    replicas_ = std::make_unique<PoolReplicas>(
        *pool_, loops_[0], [this](const std::string& problem) { problems_.push_back(problem); });
  }
  static runtime::ReplicaRecord record(std::uint64_t id) {
    return {VolumeId{1, id}, "volume-" + std::to_string(id), Incarnation{2, id}, ReplicaId{id}};
  }
  Status create(std::uint64_t id, std::uint64_t log_bytes = 1 << 20) {
    wal::CreateOptions options;
    options.incarnation = Incarnation{2, id};
    options.replica = ReplicaId{id};
    options.geometry.size = BlockCount{1024};
    options.geometry.log_bytes = log_bytes;
    return replicas_->create(record(id), options);
  }
  Loops loops_;
  ScratchDirectory scratch_;
  std::unique_ptr<Pool> pool_;
  std::unique_ptr<PoolReplicas> replicas_;
  std::vector<std::string> problems_;
};

TEST_F(IoPoolReplicas, A_replica_is_listed_with_all_that_it_was_made_with) {
  ASSERT_TRUE(create(18'000'000'000'000'000'001U).has_value());
  ASSERT_TRUE(create(7).has_value());
  make();
  const auto all = replicas_->list();
  ASSERT_EQ(all.size(), 2U);
  EXPECT_EQ(all[0].replica, ReplicaId{7});
  EXPECT_EQ(all[0].volume, (VolumeId{1, 7}));
  EXPECT_EQ(all[0].incarnation, (Incarnation{2, 7}));
  EXPECT_EQ(all[0].volume_name, "volume-7");
  EXPECT_EQ(all[1].replica, ReplicaId{18'000'000'000'000'000'001U});
  EXPECT_TRUE(problems_.empty());
  wal::Disk& disk = replicas_->disk(ReplicaId{7});
  EXPECT_EQ(&disk, &replicas_->disk(ReplicaId{7})) << "the same one until close";
  EXPECT_TRUE(disk.open("super").has_value());
  EXPECT_EQ(create(7).error().code, Errc::already_exists);
}

TEST_F(IoPoolReplicas, A_removed_replica_is_gone_for_ever) {
  ASSERT_TRUE(create(7).has_value());
  replicas_->close(ReplicaId{7});
  ASSERT_TRUE(replicas_->remove(ReplicaId{7}).has_value());
  EXPECT_TRUE(replicas_->list().empty());
  EXPECT_EQ(replicas_->remove(ReplicaId{7}).error().code, Errc::not_found);
  EXPECT_TRUE(std::filesystem::is_empty(pool_->replicas_path()));
  EXPECT_TRUE(create(7).has_value());
}

TEST_F(IoPoolReplicas, A_creation_that_fails_leaves_nothing) {
  EXPECT_FALSE(create(9, 12345).has_value()) << "no log has that size";
  EXPECT_TRUE(std::filesystem::is_empty(pool_->replicas_path()));
}

TEST_F(IoPoolReplicas, W29_directories_that_are_not_what_they_say_are_left_out_by_name) {
  for (const std::uint64_t id : {1, 2, 3, 4}) ASSERT_TRUE(create(id).has_value());
  const std::string root = pool_->replicas_path();
  std::filesystem::rename(root + "/1", root + "/11");                    // another's directory
  std::ofstream(root + "/2/replica.json") << "{";                        // damaged
  std::ofstream(root + "/3/replica.json") << R"({"format":2})";          // newer
  std::filesystem::create_directory_symlink(root + "/4", root + "/44");  // a way around
  std::filesystem::create_directory(root + "/strange");
  const auto all = replicas_->list();
  ASSERT_EQ(all.size(), 1U);
  EXPECT_EQ(all[0].replica, ReplicaId{4});
  EXPECT_EQ(problems_.size(), 4U);
}

TEST_F(IoPoolReplicas, F28_W29_a_replica_of_another_pool_is_left_out_and_left_alone) {
  ASSERT_TRUE(create(7).has_value());
  ASSERT_TRUE(create(8).has_value());
  const auto other = std::move(open_pool(scratch_ / "other", "other")).value();
  // One disk in the wrong machine, and a copy of a replica beside its original.
  std::filesystem::rename(pool_->replicas_path() + "/7", other->replicas_path() + "/7");
  std::filesystem::copy(pool_->replicas_path() + "/8", other->replicas_path() + "/8",
                        std::filesystem::copy_options::recursive);
  std::vector<std::string> problems;
  PoolReplicas there(*other, loops_[0],
                     [&](const std::string& problem) { problems.push_back(problem); });
  EXPECT_TRUE(there.list().empty());
  ASSERT_EQ(problems.size(), 2U);
  for (const std::string& problem : problems) {
    EXPECT_NE(problem.find("made in another pool, " + pool_->pool_id()), std::string::npos)
        << problem;
  }
  ASSERT_EQ(replicas_->list().size(), 1U);
  EXPECT_EQ(replicas_->list()[0].replica, ReplicaId{8}) << "the original is not in doubt";
  // It is not written over by the name alone, and is found again where it belongs.
  wal::CreateOptions options;
  options.incarnation = Incarnation{2, 7};
  options.replica = ReplicaId{7};
  options.geometry.size = BlockCount{1024};
  options.geometry.log_bytes = 1 << 20;
  EXPECT_EQ(there.create(record(7), options).error().code, Errc::already_exists);
  std::filesystem::rename(other->replicas_path() + "/7", pool_->replicas_path() + "/7");
  EXPECT_EQ(replicas_->list().size(), 2U);
}

TEST_F(IoPoolReplicas, F28_a_record_of_a_release_that_knew_no_pools_is_listed) {
  ASSERT_TRUE(create(7).has_value());
  const std::string file = pool_->replicas_path() + "/7/replica.json";
  std::ifstream in(file);
  std::string text((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  const std::string pool = "\"pool\":\"" + pool_->pool_id() + "\",";
  ASSERT_NE(text.find(pool), std::string::npos) << text;
  text.erase(text.find(pool), pool.size());
  std::ofstream(file) << text;
  EXPECT_EQ(replicas_->list().size(), 1U);
  EXPECT_TRUE(problems_.empty());
}

TEST_F(IoPoolReplicas, A_directory_that_vanished_gives_a_disk_that_only_fails) {
  ASSERT_TRUE(create(7).has_value());
  std::filesystem::remove_all(pool_->replicas_path() + "/7");
  wal::Disk& disk = replicas_->disk(ReplicaId{7});
  EXPECT_EQ(disk.open("super").error().code, Errc::not_found);
  EXPECT_EQ(problems_.size(), 1U);
}

}  // namespace
}  // namespace seawall::io
