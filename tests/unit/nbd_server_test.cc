// The NBD server against real clients: libnbd, nbdinfo, nbdcopy, qemu-io, fio, and raw bytes.
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <sstream>

#include "node/io/socket_address.h"
#include "tests/support/nbd_memory.h"

namespace seawall::nbd {
namespace {

using testing::NbdMemoryServer;
using testing::NbdServerOptions;

struct Ran {
  int code = -1;
  std::string out;
};

// A shell command with both of its outputs; at most a minute. Debian's own Python has the bindings.
Ran run(const std::string& command) {
  Ran ran;
  const std::string line = "PATH=/usr/bin:/bin:$PATH timeout 60 sh -c '" + command + "' 2>&1";
  FILE* pipe = ::popen(line.c_str(), "r");
  CHECK(pipe != nullptr);
  char buffer[4096];
  while (const std::size_t got = std::fread(buffer, 1, sizeof buffer, pipe)) {
    ran.out.append(buffer, got);
  }
  const int status = ::pclose(pipe);
  ran.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128;
  return ran;
}

// Python with libnbd, as in nbdsh: `h` is a handle that has not connected yet.
Ran nbdsh(NbdMemoryServer& server, const std::string& script) {
  const std::string path = server.scratch() / "script.py";
  std::ofstream(path) << "import errno, os, nbd\nh = nbd.NBD()\nURI = '" << server.uri()
                      << "'\nSOCKET = '"
                      << server.socket() << R"('
def fails(number, call, *words, **named):
    try:
        call(*words, **named)
    except nbd.Error as error:
        assert error.errnum == number, (error.errnum, error.string, words, named)
    else:
        raise AssertionError(f"{call} did not fail: {words}")
def alive():
    assert h.pread(4096, 0) is not None
)" << script << "\nprint('done')\n";
  return run("/usr/bin/python3 " + path);
}

void expect_done(const Ran& ran) {
  EXPECT_EQ(ran.code, 0) << ran.out;
  EXPECT_NE(ran.out.find("done"), std::string::npos) << ran.out;
}

TEST(NbdServer, Nbdinfo_sees_sizes_flags_and_both_exports) {
  NbdMemoryServer server;
  const Ran one = run("nbdinfo \"" + server.uri() + "\"");
  EXPECT_EQ(one.code, 0) << one.out;
  for (const char* fact : {"export-size: 67108864", "can_multi_conn: true", "can_fua: true",
                           "can_trim: true", "can_zero: true", "can_fast_zero: true",
                           "is_read_only: false", "block_size_minimum: 4096",
                           "base:allocation", "block_size_maximum: 33554432",
                           "structured"}) {
    EXPECT_NE(one.out.find(fact), std::string::npos) << fact << "\n" << one.out;
  }
  const Ran list = run("nbdinfo --list \"nbd+unix:///?socket=" + server.socket() + "\"");
  EXPECT_EQ(list.code, 0) << list.out;
  EXPECT_NE(list.out.find("\"first\""), std::string::npos) << list.out;
  EXPECT_NE(list.out.find("\"second\""), std::string::npos) << list.out;
  const Ran map = run("nbdinfo --map \"" + server.uri() + "\"");
  EXPECT_NE(map.out.find("67108864    0  data"), std::string::npos) << map.out;
}

TEST(NbdServer, Wrong_requests_get_the_right_error_and_the_connection_lives) {
  NbdMemoryServer server;
  expect_done(nbdsh(server, R"(
h.set_strict_mode(0)
h.add_meta_context('base:allocation')
h.connect_uri(URI)
size = h.get_size()
fails(errno.EINVAL, h.pread, 4096, 512)             # unaligned offset
fails(errno.EINVAL, h.pread, 512, 0)                # unaligned length
fails(errno.EINVAL, h.pwrite, b'x' * 512, 4096)
fails(errno.EINVAL, h.pwrite, b'x' * 4096, 100)
fails(errno.EINVAL, h.pread, 4096, size)            # beyond the end
fails(errno.ENOSPC, h.pwrite, b'x' * 4096, size)
fails(errno.ENOSPC, h.pwrite, b'x' * 8192, size - 4096)
fails(errno.ENOSPC, h.zero, 8192, size - 4096)
fails(errno.EINVAL, h.trim, 8192, size - 4096)
fails(errno.EINVAL, h.pread, 4096, (1 << 63) + 4096)
fails(errno.EINVAL, h.pread, (32 << 20) + 4096, 0)  # longer than announced
fails(errno.EOVERFLOW, h.pread, (32 << 20) + 4096, 0, flags=nbd.CMD_FLAG_DF)
fails(errno.EINVAL, h.pwrite, bytearray((32 << 20) + 4096), 0)
fails(errno.EINVAL, h.cache, 4096, 0)               # not announced
fails(errno.EINVAL, h.pread, 4096, 0, flags=nbd.CMD_FLAG_REQ_ONE)
fails(errno.ENOTSUP, h.zero, 4096, 0, flags=nbd.CMD_FLAG_NO_HOLE | nbd.CMD_FLAG_FAST_ZERO)
fails(errno.EINVAL, h.pwrite, b'x' * 4096, 0, flags=nbd.CMD_FLAG_FAST_ZERO)
assert h.pread(size if size < 32 << 20 else 32 << 20, 0) == bytearray(32 << 20)
alive()
)"));
  server.on_loop([&] { EXPECT_EQ(server.target().bad_crcs, 0U); });
}

TEST(NbdServer, Unknown_exports_are_refused_and_haggling_goes_on) {
  NbdMemoryServer server;
  expect_done(nbdsh(server, R"(
h.set_opt_mode(True)
h.connect_unix(SOCKET)
h.set_export_name('nobody')
fails(errno.ENOENT, h.opt_info)
fails(errno.ENOENT, h.opt_go)
names = []
h.opt_list(lambda name, description: names.append(name) or 0)
assert names == ['first', 'second'], names
h.set_export_name('')                    # two exports: there is no default one
fails(errno.ENOENT, h.opt_info)
h.set_export_name('x' * 4096)
fails(errno.ENOENT, h.opt_info)
h.set_export_name('second')
h.opt_info()
assert h.get_size() == 64 << 20
h.opt_go()
alive()
h.shutdown()
)"));
  const Ran old = run("nbdsh -c \"h.set_handshake_flags(0)\" -c \"h.connect_uri(\\\"" +
                      server.uri() + "\\\")\" -c \"print(h.get_size(), h.get_protocol())\"");
  EXPECT_NE(old.out.find("67108864 newstyle"), std::string::npos) << old.out;
}

TEST(NbdServer, Every_command_does_what_it_says) {
  NbdMemoryServer server;
  expect_done(nbdsh(server, R"(
h.add_meta_context('base:allocation')
h.connect_uri(URI)
data = os.urandom(3 << 20)
h.pwrite(data, 8192)                                # several pieces
assert h.pread(3 << 20, 8192) == data
h.pwrite(b'f' * 4096, 0, flags=nbd.CMD_FLAG_FUA)
h.flush()
h.zero(1 << 20, 8192)
assert h.pread(1 << 20, 8192) == bytearray(1 << 20)
h.zero((1 << 20) + 4096, 2 << 20, flags=nbd.CMD_FLAG_NO_HOLE)
assert h.pread((1 << 20) + 4096, 2 << 20) == bytearray((1 << 20) + 4096)
h.zero(4096, 0, flags=nbd.CMD_FLAG_FAST_ZERO)
h.trim(8 << 20, 8 << 20)
extents = []
h.block_status(1 << 20, 4096, lambda context, offset, entries, error:
               extents.append((context, offset, entries)) or 0)
assert extents == [('base:allocation', 4096, [1 << 20, 0])], extents
chunks = []
h.pread_structured(3 << 20, 8192, lambda data, offset, status, error:
                   chunks.append((offset, len(data))) or 0, flags=nbd.CMD_FLAG_DF)
assert chunks == [(8192, 3 << 20)], chunks
)"));
  server.on_loop([&] {
    testing::MemoryTarget& target = server.target();
    EXPECT_EQ(target.flushes, 1U);
    EXPECT_EQ(target.discards, 1U);
    EXPECT_EQ(target.zeroes, 2U) << "zeroes that must be allocated travel as a write";
    EXPECT_EQ(target.fua, 1U);
    EXPECT_EQ(target.bad_crcs, 0U);
    EXPECT_EQ(target.too_long, 0U);
  });
}

TEST(NbdServer, Simple_replies_serve_clients_without_structured_ones) {
  NbdMemoryServer server;
  expect_done(nbdsh(server, R"(
h.set_request_structured_replies(False)
h.set_strict_mode(0)
h.connect_uri(URI)
assert not h.get_structured_replies_negotiated()
data = os.urandom(5 << 20)
h.pwrite(data, 4096)
assert h.pread(5 << 20, 4096) == data
fails(errno.EINVAL, h.pread, 4096, 1)
fails(errno.EINVAL, h.pread, 4096, 0, flags=nbd.CMD_FLAG_DF)
alive()
)"));
}

TEST(NbdServer, Errors_of_the_volume_reach_the_client_by_their_names) {
  NbdMemoryServer server;
  for (const auto& [status, name] : {std::pair{ClientStatus::io_error, "EIO"},
                                     std::pair{ClientStatus::no_space, "ENOSPC"},
                                     std::pair{ClientStatus::detached, "ESHUTDOWN"}}) {
    server.on_loop([&] { server.target().answer = status; });
    expect_done(nbdsh(server, std::string(R"(
h.connect_uri(URI)
fails(errno.)") + name + R"(, h.pread, 2 << 20, 0)
fails(errno.)" + name + R"(, h.pwrite, b'x' * 8192, 0)
fails(errno.)" + name + R"(, h.flush)
)"));
  }
}

TEST(NbdServer, Many_requests_in_flight_are_bounded_and_all_answered) {
  NbdMemoryServer server({.pool_bytes = 48 << 20, .piece_blocks = 16});
  expect_done(nbdsh(server, R"(
h.connect_uri(URI)
want = {}
for i in range(400):
    data = bytes([i % 251]) * 65536
    want[i] = data
    h.aio_pwrite(nbd.Buffer.from_bytearray(bytearray(data)), i * 65536)
while h.aio_in_flight() > 0:
    h.poll(-1)
buffers = []
for i in range(400):
    buffer = nbd.Buffer(65536)
    buffers.append(buffer)
    h.aio_pread(buffer, i * 65536)
while h.aio_in_flight() > 0:
    h.poll(-1)
for i in range(400):
    assert buffers[i].to_bytearray() == want[i], i
)"));
  server.on_loop([&] { EXPECT_LE(server.target().most_at_once, Export::kPiecesMax); });
}

TEST(NbdServer, A_read_of_the_largest_size_waits_for_its_turn_beside_others) {
  NbdMemoryServer server({.pool_bytes = 64 << 20});
  expect_done(nbdsh(server, R"(
other = nbd.NBD()
h.connect_uri(URI)
other.connect_uri(URI)
answers = []
for handle in (h, other):
    for i in range(6):
        handle.aio_pread(nbd.Buffer(32 << 20), i * 4096,
                         completion=lambda error: answers.append(error.value) or 1)
while len(answers) < 12:
    for handle in (h, other):
        if handle.aio_in_flight() > 0: handle.poll(0)
assert answers == [0] * 12, answers
)"));
}

TEST(NbdServer, A_client_that_dies_with_requests_in_flight_leaves_nothing_behind) {
  NbdMemoryServer server;
  server.on_loop([&] { server.target().set_holding(true); });
  const Ran ran = nbdsh(server, R"(
h.connect_uri(URI)
for i in range(20):
    h.aio_pwrite(nbd.Buffer.from_bytearray(bytearray(65536)), i * 65536)
    h.aio_pread(nbd.Buffer(65536), i * 65536)
while h.aio_get_direction() & nbd.AIO_DIRECTION_WRITE:
    h.poll(-1)
os._exit(7)
)");
  EXPECT_EQ(ran.code, 7) << ran.out;
  server.on_loop([&] { server.target().set_holding(false); });
  const auto until = io::SteadyClock().now() + Duration{5'000};
  while (server.slots_in_use() > 0 && io::SteadyClock().now() < until) std::this_thread::yield();
  EXPECT_EQ(server.slots_in_use(), 0U);
  expect_done(nbdsh(server, "h.connect_uri(URI)\nalive()\n"));
}

TEST(NbdServer, Removing_an_export_ends_its_connections_and_only_those) {
  NbdMemoryServer server;
  server.on_loop([&] { server.target(1).set_holding(true); });
  std::thread releaser([&] {
    std::size_t open = 0;
    while (open == 0) {
      server.on_loop([&] {
        open = server.server->requests_open("unix:" + server.socket(), "second");
      });
    }
    std::promise<void> gone;
    server.on_loop([&] {
      server.server->remove_export("unix:" + server.socket(), "second", [&] { gone.set_value(); });
      server.target(1).set_holding(false);
    });
    gone.get_future().wait();
  });
  expect_done(nbdsh(server, R"(
h.connect_uri(URI)
second = nbd.NBD()
second.connect_uri(URI.replace('first', 'second'))
try:
    second.pread(4096, 0)
    raise AssertionError('it was answered')
except nbd.Error as error:
    pass
alive()
)"));
  releaser.join();
  server.forget("second");
}

TEST(NbdServer, Disc_with_requests_in_flight_answers_them_first) {
  NbdMemoryServer server;
  expect_done(nbdsh(server, R"(
h.connect_uri(URI)
done = []
for i in range(16):
    h.aio_pwrite(nbd.Buffer.from_bytearray(bytearray(65536)), i * 65536,
                 completion=lambda error: done.append(error.value) or 1)
h.shutdown()
assert done == [0] * 16, done
)"));
}

TEST(NbdServer, Qemu_io_patterns_hold) {
  NbdMemoryServer server;
  const Ran ran = run("qemu-io -f raw -c \"write -P 0x5a 0 1M\" -c \"write -P 0xa5 64k 8k\" "
                      "-c \"write -z 512k 64k\" -c \"discard 768k 64k\" -c flush "
                      "-c \"read -P 0x5a 0 64k\" -c \"read -P 0xa5 64k 8k\" "
                      "-c \"read -P 0 512k 64k\" -c \"read -P 0x5a 72k 400k\" "
                      "-c \"write -P 0x11 100 1000\" -c \"read -P 0x11 100 1000\" \"" +
                      server.uri() + "\"");
  EXPECT_EQ(ran.code, 0) << ran.out;
  EXPECT_EQ(ran.out.find("verification failed"), std::string::npos) << ran.out;
  EXPECT_EQ(ran.out.find("rror"), std::string::npos) << ran.out;
}

TEST(NbdServer, Nbdcopy_brings_an_image_in_and_out_unchanged_over_several_connections) {
  NbdMemoryServer server;
  const std::string image = server.scratch() / "in", back = server.scratch() / "out";
  const Ran ran = run("head -c 67108864 /dev/urandom > " + image + " && nbdcopy --flush " + image +
                      " \"" + server.uri() + "\" && nbdcopy \"" + server.uri() + "\" " + back +
                      " && cmp " + image + " " + back + " && echo same");
  EXPECT_EQ(ran.out, "same\n");
}

TEST(NbdServer, Fio_verifies_what_it_wrote) {
  NbdMemoryServer server;
  const Ran ran = run("cd " + server.scratch().path() +
                      " && fio --name=v --ioengine=nbd --uri=" + server.uri() +
                      " --rw=randwrite --bsrange=4k-256k --iodepth=32 --size=48M --verify=crc32c "
                      "--verify_fatal=1 --fsync=64 --randseed=3");
  EXPECT_EQ(ran.code, 0) << ran.out;
  EXPECT_NE(ran.out.find("err= 0"), std::string::npos) << ran.out;
}

// --- bytes that no library sends ---

int connect_raw(const NbdMemoryServer& server) {
  const auto address = io::parse_address("unix:" + server.socket()).value();
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  CHECK(::connect(fd, address.get(), address.length) == 0);
  timeval limit{5, 0};
  ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  return fd;
}

// True when the server ends the connection within the socket's time limit.
bool ends(int fd) {
  char buffer[4096];
  while (true) {
    const ssize_t got = ::recv(fd, buffer, sizeof buffer, 0);
    if (got == 0 || (got < 0 && errno == ECONNRESET)) return true;
    if (got < 0) return false;
  }
}

void say(int fd, const Bytes& bytes) {
  (void)!::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
}

TEST(NbdServer, Garbage_is_dropped_at_every_stage_and_the_server_lives) {
  NbdMemoryServer server;
  std::uint64_t state = 99;
  const auto noise = [&](std::size_t length) {
    Bytes bytes(length);
    for (std::byte& byte : bytes) {
      state = state * 6364136223846793005ULL + 1442695040888963407ULL;
      byte = static_cast<std::byte>(state >> 56);
    }
    return bytes;
  };
  Bytes flags(4), go(kOptionHeaderBytes + 4 + 5 + 2);
  put_u32(flags.data(), kFixedNewstyle | kNoZeroes);
  put_u64(go.data(), kOptionMagic);
  put_u32(go.data() + 8, static_cast<std::uint32_t>(Option::go));
  put_u32(go.data() + 12, 4 + 5 + 2);
  put_u32(go.data() + 16, 5);
  std::memcpy(go.data() + 20, "first", 5);
  put_u16(go.data() + 25, 0);
  for (int stage = 0; stage < 3; ++stage) {
    for (int round = 0; round < 10; ++round) {
      const int fd = connect_raw(server);
      if (stage > 0) say(fd, flags);
      if (stage > 1) say(fd, go);
      say(fd, noise(200));
      EXPECT_TRUE(ends(fd)) << stage;
      ::close(fd);
    }
  }
  expect_done(nbdsh(server, "h.connect_uri(URI)\nalive()\n"));
}

TEST(NbdServer, An_option_that_is_too_long_is_skipped_and_refused) {
  NbdMemoryServer server;
  const int fd = connect_raw(server);
  Bytes hello(4 + kOptionHeaderBytes + 100'000);
  put_u32(hello.data(), kFixedNewstyle);
  put_u64(hello.data() + 4, kOptionMagic);
  put_u32(hello.data() + 12, static_cast<std::uint32_t>(Option::go));
  put_u32(hello.data() + 16, 100'000);
  say(fd, hello);
  std::array<std::byte, kGreetingBytes + kOptionReplyHeaderBytes> answer{};
  ASSERT_EQ(::recv(fd, answer.data(), answer.size(), MSG_WAITALL),
            static_cast<ssize_t>(answer.size()));
  EXPECT_EQ(read_u32(std::span(answer).subspan(kGreetingBytes + 12)),
            static_cast<std::uint32_t>(OptionReply::err_too_big));
  ::close(fd);
}

TEST(NbdServer, A_client_that_says_nothing_is_dropped_at_the_deadline) {
  NbdMemoryServer server({.option_deadline = Duration{100}});
  const int fd = connect_raw(server);
  EXPECT_TRUE(ends(fd));
  ::close(fd);
  server.on_loop([&] { EXPECT_EQ(server.server->counters().late, 1U); });
}

}  // namespace
}  // namespace seawall::nbd
