#include "node/io/uring_disk.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <thread>

#include "tests/support/io_loop.h"

namespace seawall::io {
namespace {

using testing::Loops;
using testing::ScratchDirectory;

struct Aligned {
  explicit Aligned(std::size_t bytes, unsigned char fill = 0)
      : size(bytes), data(static_cast<std::byte*>(std::aligned_alloc(4096, bytes))) {
    std::memset(data, fill, bytes);
  }
  ~Aligned() { std::free(data); }
  std::span<std::byte> span() { return {data, size}; }
  std::size_t size;
  std::byte* data;
};

struct Waiter {
  explicit Waiter(wal::Op::Kind kind, wal::FileId file) {
    op.kind = kind;
    op.file = file;
    op.owner = this;
    op.done = [](wal::Op& done) { ++static_cast<Waiter*>(done.owner)->runs; };
  }
  wal::Op op;
  int runs = 0;
};

class IoDisk : public ::testing::Test {
 protected:
  void SetUp() override {
    auto opened = UringDisk::open(loops_[0], scratch_.path(), {.lock_wait_ms = 50});
    ASSERT_TRUE(opened.has_value()) << opened.error().what;
    disk_ = std::move(opened).value();
  }
  wal::FileId make(const std::string& name, std::uint64_t size) {
    auto file = disk_->create(name, size);
    EXPECT_TRUE(file.has_value());
    return file.value();
  }
  Loops loops_;
  ScratchDirectory scratch_;
  std::unique_ptr<UringDisk> disk_;
};

TEST_F(IoDisk, A_vectored_write_is_read_back_byte_for_byte) {
  const wal::FileId file = make("base", 64 * 4096);
  Aligned first(4096, 0x11), second(8192, 0x22), back(12288);
  const iovec out[] = {{first.data, first.size}, {second.data, second.size}};
  Waiter write(wal::Op::Kind::write, file);
  write.op.offset = 8192;
  write.op.iov = out;
  write.op.iov_count = 2;
  write.op.dsync = true;
  disk_->submit(write.op);
  EXPECT_EQ(write.runs, 0) << "done never runs inside submit";
  ASSERT_TRUE(loops_.run_until([&] { return write.runs == 1; }));
  EXPECT_EQ(write.op.result, 12288);

  Waiter sync(wal::Op::Kind::sync, file);
  disk_->submit(sync.op);
  ASSERT_TRUE(loops_.run_until([&] { return sync.runs == 1; }));
  EXPECT_EQ(sync.op.result, 0);

  const iovec in[] = {{back.data, back.size}};
  Waiter read(wal::Op::Kind::read, file);
  read.op.offset = 8192;
  read.op.iov = in;
  read.op.iov_count = 1;
  disk_->submit(read.op);
  ASSERT_TRUE(loops_.run_until([&] { return read.runs == 1; }));
  EXPECT_EQ(read.op.result, 12288);
  EXPECT_EQ(std::memcmp(back.data, first.data, 4096), 0);
  EXPECT_EQ(std::memcmp(back.data + 4096, second.data, 8192), 0);
  EXPECT_EQ(disk_->in_flight(), 0U);
}

TEST_F(IoDisk, A_read_beyond_the_end_is_an_error_and_never_short) {
  const wal::FileId file = make("base", 2 * 4096);
  Aligned back(4 * 4096);
  const iovec in[] = {{back.data, back.size}};
  Waiter read(wal::Op::Kind::read, file);
  read.op.iov = in;
  read.op.iov_count = 1;
  disk_->submit(read.op);
  ASSERT_TRUE(loops_.run_until([&] { return read.runs == 1; }));
  EXPECT_EQ(read.op.result, -EIO);
  EXPECT_GE(disk_->counters().continued.load(), 1U) << "the rest was asked for";
  EXPECT_EQ(disk_->read(file, 4096, back.span()).error().code, Errc::io_error);
}

TEST_F(IoDisk, An_error_of_the_kernel_arrives_as_its_number) {
  Aligned data(4096);
  const int read_only = ::open((scratch_ / "x").c_str(), O_CREAT | O_RDONLY | O_CLOEXEC, 0600);
  ASSERT_GE(read_only, 0);
  const iovec out[] = {{data.data, data.size}};
  Waiter write(wal::Op::Kind::write, read_only);
  write.op.iov = out;
  write.op.iov_count = 1;
  disk_->submit(write.op);
  ASSERT_TRUE(loops_.run_until([&] { return write.runs == 1; }));
  EXPECT_EQ(write.op.result, -EBADF);
  EXPECT_EQ(disk_->counters().errors.load(), 1U);
  ::close(read_only);
}

TEST_F(IoDisk, A_new_file_is_allocated_zeroed_private_and_exactly_as_long_as_asked) {
  const wal::FileId file = make("log", 3 * 1024 * 1024 + 4096);
  EXPECT_EQ(disk_->size(file).value(), 3U * 1024 * 1024 + 4096);
  struct stat info{};
  ASSERT_EQ(::stat((scratch_ / "log").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600U);
  EXPECT_GE(info.st_blocks * 512, 3 * 1024 * 1024);
  Aligned back(4096, 0xff), zero(4096);
  ASSERT_TRUE(disk_->read(file, 3 * 1024 * 1024, back.span()).has_value());
  EXPECT_EQ(std::memcmp(back.data, zero.data, 4096), 0);
  EXPECT_EQ(disk_->create("log", 4096).error().code, Errc::already_exists);
}

TEST_F(IoDisk, Growing_leaves_old_bytes_and_reads_zero_behind_them) {
  const wal::FileId file = make("base", 4096);
  Aligned data(4096, 0x5a), back(4096), zero(4096);
  ASSERT_TRUE(disk_->write(file, 0, data.span()).has_value());
  ASSERT_TRUE(disk_->resize(file, 1024 * 1024).has_value());
  ASSERT_TRUE(disk_->sync(file).has_value());
  ASSERT_TRUE(disk_->read(file, 0, back.span()).has_value());
  EXPECT_EQ(std::memcmp(back.data, data.data, 4096), 0);
  ASSERT_TRUE(disk_->read(file, 512 * 1024, back.span()).has_value());
  EXPECT_EQ(std::memcmp(back.data, zero.data, 4096), 0);
}

TEST_F(IoDisk, Symlinks_and_ways_out_of_the_directory_are_refused) {
  ScratchDirectory elsewhere;
  ASSERT_EQ(::symlink(elsewhere.path().c_str(), (scratch_ / "link").c_str()), 0);
  { const int fd = ::open((elsewhere / "f").c_str(), O_CREAT | O_RDWR, 0600); ::close(fd); }
  EXPECT_EQ(disk_->open("link/f").error().code, Errc::permission);
  EXPECT_EQ(disk_->open("../" + elsewhere.path().substr(elsewhere.path().rfind('/') + 1) + "/f")
                .error().code,
            Errc::permission);
  EXPECT_EQ(disk_->open(elsewhere / "f").error().code, Errc::permission);
  EXPECT_EQ(disk_->create("link/new", 4096).error().code, Errc::permission);
  EXPECT_EQ(disk_->open("missing").error().code, Errc::not_found);
}

TEST_F(IoDisk, A_file_that_somebody_holds_is_busy_until_it_is_let_go) {
  disk_->close(make("base", 4096));
  const int other = ::open((scratch_ / "base").c_str(), O_RDWR | O_CLOEXEC);
  ASSERT_EQ(::flock(other, LOCK_EX), 0);
  EXPECT_EQ(disk_->open("base").error().code, Errc::busy);
  auto patient = UringDisk::open(loops_[0], scratch_.path(), {.lock_wait_ms = 10'000});
  std::atomic<bool> opened{false};
  std::thread opener([&] {
    EXPECT_TRUE(patient.value()->open("base").has_value()) << "it waits for the old holder";
    opened = true;
  });
  EXPECT_FALSE(loops_.run_until([&] { return opened.load(); }, Duration{30}));
  ::close(other);
  EXPECT_TRUE(loops_.run_until([&] { return opened.load(); }));
  opener.join();
}

TEST_F(IoDisk, Listing_names_files_and_sizes_and_removal_is_seen) {
  ASSERT_TRUE(disk_->make_directory("log").has_value());
  ASSERT_TRUE(disk_->make_directory("log").has_value()) << "it is there already";
  disk_->close(make("log/1", 8192));
  disk_->close(make("log/0", 4096));
  auto files = disk_->list("log");
  ASSERT_TRUE(files.has_value());
  ASSERT_EQ(files->size(), 2U);
  EXPECT_EQ((*files)[0].name, "0");
  EXPECT_EQ((*files)[1].size, 8192U);
  ASSERT_TRUE(disk_->remove("log/0").has_value());
  EXPECT_EQ(disk_->remove("log/0").error().code, Errc::not_found);
  ASSERT_TRUE(disk_->sync_directory("log").has_value());
  ASSERT_TRUE(disk_->sync_directory("").has_value());
  EXPECT_EQ(disk_->list("log")->size(), 1U);
  EXPECT_EQ(disk_->list("nothing").error().code, Errc::not_found);
}

TEST_F(IoDisk, A_missing_directory_is_named_and_a_file_without_room_leaves_nothing) {
  EXPECT_EQ(UringDisk::open(loops_[0], scratch_ / "none").error().code, Errc::not_found);
  const auto refused = disk_->create("huge", std::uint64_t{1} << 61);  // beyond any file system
  ASSERT_FALSE(refused.has_value());
  EXPECT_TRUE(disk_->list("")->empty()) << "nothing half-made stays";
}

TEST(IoDiskDirect, A_file_system_without_O_DIRECT_is_refused_by_name) {
  Loops loops;
  const auto refused = UringDisk::open(loops[0], "/proc/self/fdinfo");
  ASSERT_FALSE(refused.has_value());
  const int proc = ::open("/proc/self", O_DIRECTORY | O_RDONLY | O_CLOEXEC);
  EXPECT_FALSE(probe_direct(proc).has_value());
  ::close(proc);
}

}  // namespace
}  // namespace seawall::io
