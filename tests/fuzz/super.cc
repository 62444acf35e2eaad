// The super block's slot: whatever decodes is within its bounds and encodes to the same bytes.
#include <cstring>
#include <vector>

#include "engine/base/check.h"
#include "tests/fuzz/target.h"
#include "wal/crc32c.h"
#include "wal/super.h"

namespace seawall::fuzz {
namespace {

using namespace wal;

// The input is the structure; a slot is that and zeroes.
void fill_slot(Input input, std::span<std::byte> slot) {
  std::memset(slot.data(), 0, slot.size());
  std::memcpy(slot.data(), input.data(), std::min(input.size(), slot.size()));
}

DiskSuper sample(std::size_t n) {
  DiskSuper super{};
  super.generation = n + 1;
  super.segment_count = 16;
  super.segment_bytes = limits::segment_bytes_min;
  super.extent_bytes = 65536;
  super.size_blocks = 512;
  super.term_count = n == 1 ? limits::folded_terms_max : 1;
  for (std::uint32_t i = 0; i < super.term_count; ++i) super.terms[i] = {i + 1, i * 10 + 1, i};
  if (n != 1) return super;
  super.flags = super_flag_marker | super_flag_floor | super_flag_intent;
  super.aborted_count = super_aborted_max;
  super.attachment_count = limits::attachments_max;
  for (auto& attachment : super.attachments) attachment.attachment = 5;
  return super;
}

}  // namespace

void run(Input input) {
  static std::vector<std::byte> slot(super_slot_bytes), again(super_slot_bytes);
  fill_slot(input, slot);
  DiskSuper super;
  if (decode_super(slot, super) != SlotState::valid) return;
  CHECK(terms_of(super).size() == super.term_count);
  CHECK(requests_of(super).size() <= limits::attachments_max);
  if (input.size() > sizeof super) return;  // bytes behind the structure are not kept
  DiskSuper known = super;
  known.reserved0 = 0;
  encode_super(known, again);
  DiskSuper twice;
  CHECK(decode_super(again, twice) == SlotState::valid);
  known.crc = twice.crc = 0;
  CHECK(std::memcmp(&known, &twice, sizeof known) == 0);
}

void mend(std::span<std::byte> input) {
  if (input.size() < sizeof(DiskSegment)) return;
  static std::vector<std::byte> slot(super_slot_bytes);
  const std::uint32_t magic = super_magic;
  const std::uint32_t none = 0;
  std::memcpy(input.data() + offsetof(DiskSuper, magic), &magic, sizeof magic);
  std::memcpy(input.data() + offsetof(DiskSuper, crc), &none, sizeof none);
  fill_slot(input, slot);
  const std::uint32_t crc = crc32c(slot);
  std::memcpy(input.data() + offsetof(DiskSuper, crc), &crc, sizeof crc);
}

std::size_t seed(std::size_t n, std::span<std::byte> into) {
  if (n > 2) return 0;
  std::vector<std::byte> slot(super_slot_bytes);
  encode_super(sample(n), slot);
  std::memcpy(into.data(), slot.data(), sizeof(DiskSuper));
  return sizeof(DiskSuper);
}

}  // namespace seawall::fuzz
