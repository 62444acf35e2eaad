#include "wal/index.h"

#include "engine/base/check.h"

namespace seawall::wal {

Index::Index(std::uint32_t capacity)
    : nodes_(std::make_unique_for_overwrite<Node[]>(capacity)), capacity_(capacity) {
  CHECK(capacity > 2);
}

Index::Ref Index::make(const Range& range) {
  CHECK(used_ < capacity_);
  Ref ref = free_;
  if (ref != nil) {
    free_ = at(ref).left;
  } else {
    ref = high_water_++;
  }
  ++used_;
  seed_ ^= seed_ << 13;
  seed_ ^= seed_ >> 17;
  seed_ ^= seed_ << 5;
  at(ref) = Node{range.lba, range.blocks, range.place, range.lsn, nil, nil, seed_};
  return ref;
}

void Index::release(Ref ref) {
  at(ref).left = free_;
  free_ = ref;
  --used_;
}

void Index::release_tree(Ref ref) {
  if (ref == nil) return;
  release_tree(at(ref).left);
  release_tree(at(ref).right);
  release(ref);
}

void Index::split(Ref tree, std::uint64_t lba, Ref& below, Ref& rest) {
  if (tree == nil) {
    below = nil;
    rest = nil;
  } else if (at(tree).lba < lba) {
    below = tree;
    Ref right = nil;
    split(at(tree).right, lba, right, rest);
    at(tree).right = right;
  } else {
    rest = tree;
    Ref left = nil;
    split(at(tree).left, lba, below, left);
    at(tree).left = left;
  }
}

Index::Ref Index::merge(Ref a, Ref b) {
  if (a == nil) return b;
  if (b == nil) return a;
  if (at(a).priority > at(b).priority) {
    at(a).right = merge(at(a).right, b);
    return a;
  }
  at(b).left = merge(a, at(b).left);
  return b;
}

Index::Ref Index::last(Ref tree) const {
  if (tree == nil) return nil;
  while (at(tree).right != nil) tree = at(tree).right;
  return tree;
}

void Index::insert(const Range& range) {
  CHECK(range.blocks > 0);
  // Overwriting exactly one range is the common case of a busy block: no change of the tree.
  for (Ref ref = root_; ref != nil;) {
    Node& node = at(ref);
    if (node.lba == range.lba) {
      if (node.blocks != range.blocks) break;
      node.place = range.place;
      node.lsn = range.lsn;
      return;
    }
    ref = range.lba < node.lba ? node.left : node.right;
  }
  const std::uint64_t end = range.lba + range.blocks;
  Ref below = nil;
  Ref inside = nil;
  Ref above = nil;
  split(root_, range.lba, below, inside);
  split(inside, end, inside, above);
  Range tail;  // what sticks out behind the new range
  const auto keep_tail = [&](const Node& node) {
    const std::uint64_t node_end = node.lba + node.blocks;
    if (node_end <= end) return;
    const auto skipped = static_cast<std::uint32_t>(end - node.lba);
    tail = Range{end, static_cast<std::uint32_t>(node_end - end),
                 node.place == no_place ? no_place : node.place + skipped, node.lsn};
  };
  if (const Ref before = last(below); before != nil) {
    Node& node = at(before);
    if (node.lba + node.blocks > range.lba) {
      keep_tail(node);
      node.blocks = static_cast<std::uint32_t>(range.lba - node.lba);
    }
  }
  if (const Ref covered = last(inside); covered != nil) keep_tail(at(covered));
  release_tree(inside);
  root_ = merge(below, make(range));
  if (tail.blocks > 0) root_ = merge(root_, make(tail));
  root_ = merge(root_, above);
}

// The first node that ends after `lba`.
Index::Ref Index::first_after(std::uint64_t lba) const {
  Ref best = nil;
  for (Ref ref = root_; ref != nil;) {
    const Node& node = at(ref);
    if (node.lba + node.blocks > lba) {
      best = ref;
      ref = node.left;
    } else {
      ref = node.right;
    }
  }
  return best;
}

bool Index::find(std::uint64_t lba, Range& out) const {
  const Ref ref = first_after(lba);
  if (ref == nil) return false;
  const Node& node = at(ref);
  out = Range{node.lba, node.blocks, node.place, node.lsn};
  if (node.lba < lba) {
    const auto skipped = static_cast<std::uint32_t>(lba - node.lba);
    out.lba = lba;
    out.blocks -= skipped;
    if (out.place != no_place) out.place += skipped;
  }
  return true;
}

void Index::erase(std::uint64_t lba) {
  Ref* link = &root_;
  while (*link != nil && at(*link).lba != lba) {
    link = lba < at(*link).lba ? &at(*link).left : &at(*link).right;
  }
  CHECK(*link != nil);
  const Ref gone = *link;
  *link = merge(at(gone).left, at(gone).right);
  release(gone);
}

bool Index::sweep(std::uint64_t& cursor, Lsn upto, std::uint32_t budget) {
  for (; budget > 0; --budget) {
    const Ref ref = first_after(cursor);
    if (ref == nil) return true;
    const std::uint64_t lba = at(ref).lba;
    cursor = lba + at(ref).blocks;
    if (at(ref).lsn <= upto) erase(lba);
  }
  return false;
}

void Index::clear() {
  root_ = nil;
  free_ = nil;
  used_ = 0;
  high_water_ = 0;
}

}  // namespace seawall::wal
