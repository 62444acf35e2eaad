#include "engine/attachments.h"

#include "engine/base/check.h"

namespace seawall {

static_assert(limits::attachments_max == 2, "a record names the one other attachment");

void Attachments::keep(const Granted& granted) {
  granted_ = granted;
  const AttachmentId first = granted.empty() ? AttachmentId{} : granted.front().attachment;
  const AttachmentId last = granted.empty() ? AttachmentId{} : granted.back().attachment;
  tables_.keep(first, last);
  connections_.erase_if(
      [&](const AttachmentConnection& one) { return one.id != first && one.id != last; });
}

AttachmentId Attachments::other_than(AttachmentId id) const {
  for (const AttachmentGrant& grant : granted_) {
    if (grant.attachment != id) return grant.attachment;
  }
  return AttachmentId{};
}

void Attachments::open(AttachmentId id, ConnectionNumber connection, LinkId link) {
  static_cast<void>(tables_.row(id));
  for (AttachmentConnection& one : connections_) {
    if (one.id != id) continue;
    one.connection = connection;
    one.link = link;
    return;
  }
  if (connections_.full()) connections_.erase_at(0);
  connections_.push_back({id, connection, link});
}

void Attachments::close(LinkId link) {
  for (AttachmentConnection& one : connections_) {
    if (one.link == link) one.link.reset();
  }
}

const AttachmentConnection* Attachments::connection(AttachmentId id) const {
  for (const AttachmentConnection& one : connections_) {
    if (one.id == id) return &one;
  }
  return nullptr;
}

const AttachmentConnection* Attachments::connection(LinkId link) const {
  for (const AttachmentConnection& one : connections_) {
    if (one.link == link) return &one;
  }
  return nullptr;
}

}  // namespace seawall
