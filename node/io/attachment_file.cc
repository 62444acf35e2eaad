#include "node/io/attachment_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <optional>

#include "engine/base/check.h"
#include "engine/base/limits.h"
#include "wal/crc32c.h"

namespace seawall::io {
namespace {

constexpr std::uint32_t file_magic = 0x54544153;  // "SATT"
constexpr std::uint32_t file_version = 1;
constexpr std::size_t text_max = 256;
constexpr const char* suffix = ".attachment";

struct Text {
  std::uint32_t length;
  char bytes[text_max];
};

struct StoredAddress {
  std::uint64_t replica, node, version;
  Text address;
};

// Nothing here is on a disk that outlives a boot; still a version that is not known is refused.
struct StoredServed {
  std::uint64_t volume_hi, volume_lo, incarnation_hi, incarnation_lo;
  std::uint64_t attachment, epoch, revision, primary, size, io_timeout_ms, holder_start;
  std::uint64_t address_count;
  StoredAddress addresses[limits::members_max];
  Text volume_name, socket_path, export_name;
};

struct StoredMemory {
  std::uint64_t connection, next_request, has_seen, seen_term, seen_lsn, proved_by;
};

struct StoredRequest {
  std::uint64_t number, op, lba, blocks, first_submitted;
};

template <class T>
struct Slot {
  T value;
  std::uint64_t sequence;  // 0: never written
  std::uint64_t crc;
};

template <class T>
std::uint32_t crc_of(const Slot<T>& slot) {
  return wal::crc32c(std::as_bytes(std::span(&slot, 1)).first(offsetof(Slot<T>, crc)));
}

template <class T>
bool valid(const Slot<T>& slot) {
  return slot.sequence != 0 && slot.crc == crc_of(slot);
}

// Of two slots the older one is written, so that the other stays valid meanwhile.
template <class T>
void put(Slot<T> (&slots)[2], const T& value, std::uint64_t sequence) {
  Slot<T> fresh;
  std::memset(&fresh, 0, sizeof fresh);
  fresh.value = value;
  fresh.sequence = sequence;
  fresh.crc = crc_of(fresh);
  std::memcpy(&slots[sequence % 2], &fresh, sizeof fresh);
}

template <class T>
const Slot<T>* newest(const Slot<T> (&slots)[2]) {
  const bool first = valid(slots[0]);
  const bool second = valid(slots[1]);
  if (!first && !second) return nullptr;
  if (!first || (second && slots[1].sequence > slots[0].sequence)) return &slots[1];
  return &slots[0];
}

bool put_text(Text& into, const std::string& text) {
  if (text.size() > text_max) return false;
  into.length = static_cast<std::uint32_t>(text.size());
  std::memcpy(into.bytes, text.data(), text.size());
  return true;
}

std::string text_of(const Text& text) {
  return {text.bytes, std::min<std::size_t>(text.length, text_max)};
}

bool put_view(StoredServed& into, const control::AttachmentView& view) {
  into.volume_hi = view.volume.hi;
  into.volume_lo = view.volume.lo;
  into.incarnation_hi = view.incarnation.hi;
  into.incarnation_lo = view.incarnation.lo;
  into.attachment = view.attachment.value();
  into.epoch = view.epoch.value();
  into.revision = view.revision.value();
  into.primary = view.primary.value();
  into.size = view.size.value();
  into.io_timeout_ms = view.io_timeout_ms;
  into.holder_start = view.holder_start.value();
  into.address_count = 0;
  if (view.addresses.size() > limits::members_max) return false;
  for (const control::ReplicaAddress& from : view.addresses) {
    StoredAddress& address = into.addresses[into.address_count++];
    address.replica = from.replica.value();
    address.node = from.node.value();
    address.version = from.version.value();
    if (!put_text(address.address, from.address)) return false;
  }
  return put_text(into.volume_name, view.volume_name);
}

control::AttachmentView view_of(const StoredServed& from) {
  control::AttachmentView view;
  view.volume = VolumeId{from.volume_hi, from.volume_lo};
  view.incarnation = Incarnation{from.incarnation_hi, from.incarnation_lo};
  view.attachment = AttachmentId(from.attachment);
  view.epoch = Epoch(from.epoch);
  view.revision = Revision(from.revision);
  view.primary = ReplicaId(from.primary);
  view.size = BlockCount(from.size);
  view.io_timeout_ms = from.io_timeout_ms;
  view.holder_start = ProcessStart(from.holder_start);
  view.volume_name = text_of(from.volume_name);
  const std::size_t count = std::min<std::size_t>(from.address_count, limits::members_max);
  for (std::size_t i = 0; i < count; ++i) {
    const StoredAddress& stored = from.addresses[i];
    view.addresses.push_back({ReplicaId(stored.replica), NodeId(stored.node),
                              EndpointVersion(static_cast<EndpointVersion::rep>(stored.version)),
                              text_of(stored.address)});
  }
  return view;
}

Error errno_error(const char* what) {
  return make_error(Errc::io_error, what, static_cast<std::uint64_t>(errno));
}

struct Descriptor {
  int fd = -1;
  ~Descriptor() {
    if (fd >= 0) ::close(fd);
  }
};

std::string hexadecimal(const VolumeId& volume) {
  char text[33];
  std::snprintf(text, sizeof text, "%016llx%016llx", static_cast<unsigned long long>(volume.hi),
                static_cast<unsigned long long>(volume.lo));
  return text;
}

}  // namespace

struct AttachmentFile::Layout {
  std::uint32_t magic, version;
  std::uint64_t boot_hi, boot_lo;
  std::uint64_t head_crc;  // of what is above
  Slot<StoredServed> served[2];
  Slot<StoredMemory> memory[2];
  Slot<StoredRequest> requests[requests_max];  // by number; a torn one was never sent

  [[nodiscard]] std::uint32_t crc() const {
    return wal::crc32c(std::as_bytes(std::span(this, 1)).first(offsetof(Layout, head_crc)));
  }
};

AttachmentFile::AttachmentFile(std::string path, Layout* layout, bool continues)
    : path_(std::move(path)), layout_(layout), continues_(continues) {
  if (const auto* slot = newest(layout_->served)) {
    served_sequence_ = slot->sequence;
    memory_.attachment = AttachmentId(slot->value.attachment);
  }
  if (const auto* slot = newest(layout_->memory)) {
    sequence_ = slot->sequence;
    const StoredMemory& stored = slot->value;
    memory_.connection = ConnectionNumber(stored.connection);
    memory_.next_request = RequestNumber(stored.next_request);
    if (stored.has_seen != 0) memory_.seen = Position{Term(stored.seen_term), Lsn(stored.seen_lsn)};
    memory_.proved_by = Epoch(stored.proved_by);
  }
}

AttachmentFile::~AttachmentFile() { ::munmap(layout_, sizeof(Layout)); }

Result<std::unique_ptr<AttachmentFile>> AttachmentFile::create(const std::string& directory,
                                                               const BootId& boot,
                                                               const ServedExport& served) {
  StoredServed stored;
  std::memset(&stored, 0, sizeof stored);
  if (!put_view(stored, served.view) || !put_text(stored.socket_path, served.socket_path) ||
      !put_text(stored.export_name, served.export_name)) {
    return make_error(Errc::invalid_argument, "a name, path or address is too long to be kept");
  }
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  const std::string path = directory + "/" + hexadecimal(served.view.volume) + suffix;
  const std::string fresh = path + ".new";  // seen under its name only when it is whole
  Descriptor file{
      ::open(fresh.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600)};
  if (file.fd < 0) return errno_error("its file cannot be made (errno)");
  if (const int failed = ::posix_fallocate(file.fd, 0, sizeof(Layout)); failed != 0) {
    ::unlink(fresh.c_str());
    return make_error(Errc::no_space, "there is no room for its file (errno)",
                      static_cast<std::uint64_t>(failed));
  }
  void* mapped =
      ::mmap(nullptr, sizeof(Layout), PROT_READ | PROT_WRITE, MAP_SHARED, file.fd, 0);
  if (mapped == MAP_FAILED) return errno_error("its file cannot be mapped (errno)");
  auto* layout = static_cast<Layout*>(mapped);
  layout->magic = file_magic;
  layout->version = file_version;
  layout->boot_hi = boot.hi;
  layout->boot_lo = boot.lo;
  layout->head_crc = layout->crc();
  put(layout->served, stored, 1);
  put(layout->memory, StoredMemory{0, 1, 0, 0, 0, 0}, 1);
  if (::rename(fresh.c_str(), path.c_str()) != 0) {
    const Error failed = errno_error("its file cannot be named (errno)");
    ::munmap(mapped, sizeof(Layout));
    return failed;
  }
  return std::unique_ptr<AttachmentFile>(new AttachmentFile(path, layout, false));
}

Result<std::unique_ptr<AttachmentFile>> AttachmentFile::open(const std::string& path,
                                                             const BootId& boot) {
  Descriptor file{::open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW)};
  if (file.fd < 0) return errno_error("the file cannot be opened (errno)");
  struct stat found {};
  if (::fstat(file.fd, &found) != 0) return errno_error("the file cannot be examined (errno)");
  if (found.st_size != static_cast<off_t>(sizeof(Layout))) {
    return make_error(Errc::corrupt, "the file has another size",
                      static_cast<std::uint64_t>(found.st_size));
  }
  void* mapped =
      ::mmap(nullptr, sizeof(Layout), PROT_READ | PROT_WRITE, MAP_SHARED, file.fd, 0);
  if (mapped == MAP_FAILED) return errno_error("the file cannot be mapped (errno)");
  auto* layout = static_cast<Layout*>(mapped);
  std::optional<Error> refused;
  if (layout->magic != file_magic || layout->head_crc != layout->crc()) {
    refused = make_error(Errc::corrupt, "it is no file of an attachment, or it has rotted");
  } else if (layout->version != file_version) {
    refused = make_error(Errc::unknown_version, "its version is not known", layout->version);
  } else if (layout->boot_hi != boot.hi || layout->boot_lo != boot.lo) {
    refused = make_error(Errc::refused, "it is of another boot of this machine");
  } else if (newest(layout->served) == nullptr || newest(layout->memory) == nullptr) {
    refused = make_error(Errc::corrupt, "both slots of the state are damaged");
  }
  if (refused) {
    ::munmap(mapped, sizeof(Layout));
    return *refused;
  }
  return std::unique_ptr<AttachmentFile>(new AttachmentFile(path, layout, true));
}

std::vector<std::string> AttachmentFile::list(const std::string& directory) {
  std::vector<std::string> paths;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(directory, error)) {
    if (entry.path().extension() == suffix) paths.push_back(entry.path().string());
  }
  std::sort(paths.begin(), paths.end());
  return paths;
}

ServedExport AttachmentFile::served() const {
  const auto* slot = newest(layout_->served);
  CHECK(slot != nullptr);
  return {view_of(slot->value), text_of(slot->value.socket_path), text_of(slot->value.export_name)};
}

std::vector<runtime::OpenRequest> AttachmentFile::open_requests() const {
  std::vector<runtime::OpenRequest> open;
  for (const Slot<StoredRequest>& slot : layout_->requests) {
    if (!valid(slot) || slot.value.number == 0) continue;
    open.push_back({RequestNumber(slot.value.number), static_cast<ClientOp>(slot.value.op),
                    Lba(slot.value.lba), BlockCount(slot.value.blocks),
                    Instant(slot.value.first_submitted)});
  }
  std::sort(open.begin(), open.end(),
            [](const auto& a, const auto& b) { return a.number < b.number; });
  return open;
}

void AttachmentFile::forget() { ::unlink(path_.c_str()); }

runtime::AttachmentMemory AttachmentFile::load() {
  // Those of the earlier life have ended: the connection that carried them is over.
  for (Slot<StoredRequest>& slot : layout_->requests) std::memset(&slot, 0, sizeof slot);
  return memory_;
}

void AttachmentFile::store_memory() {
  const Position seen = memory_.seen.value_or(Position{});
  put(layout_->memory,
      StoredMemory{memory_.connection.value(), memory_.next_request.value(),
                   memory_.seen.has_value() ? 1u : 0u, seen.term.value(), seen.lsn.value(),
                   memory_.proved_by.value()},
      ++sequence_);
}

// What does not fit stays as it was: an older hint of where the replicas are.
void AttachmentFile::on_view(const control::AttachmentView& view) {
  StoredServed stored = newest(layout_->served)->value;
  if (view.revoked || !put_view(stored, view)) return;
  put(layout_->served, stored, ++served_sequence_);
}

void AttachmentFile::on_connection(ConnectionNumber connection) {
  memory_.connection = connection;
  store_memory();
}

void AttachmentFile::on_request(const runtime::OpenRequest& request) {
  Slot<StoredRequest> slot;
  std::memset(&slot, 0, sizeof slot);
  slot.value = {request.number.value(), static_cast<std::uint64_t>(request.op),
                request.lba.value(), request.blocks.value(), request.first_submitted.value()};
  slot.sequence = 1;
  slot.crc = crc_of(slot);
  layout_->requests[request.number.value() % requests_max] = slot;
  memory_.next_request = RequestNumber(request.number.value() + 1);
  store_memory();
}

void AttachmentFile::on_finished(RequestNumber request) {
  Slot<StoredRequest>& slot = layout_->requests[request.value() % requests_max];
  if (slot.value.number == request.value()) std::memset(&slot, 0, sizeof slot);
}

void AttachmentFile::on_seen(const Position& seen, Epoch proved_by) {
  memory_.seen = seen;
  memory_.proved_by = proved_by;
  store_memory();
}

}  // namespace seawall::io
