// Checkers that look at resources and at what controllers commit: each must see what is wrong.
#include <gtest/gtest.h>

#include <string>

#include "controller/core/fields.h"
#include "sim/checkers/bounded.h"
#include "sim/checkers/control_stream.h"
#include "sim/membership.h"

namespace seawall::sim {
namespace {

using controller::ChangeEvent;
using controller::VolumeRecord;

const VolumeId volume_id{7, 9};

VolumeRecord record_at(Epoch epoch, Revision revision) {
  VolumeRecord record;
  record.name = "v1";
  record.id = volume_id;
  record.epoch = epoch;
  record.revision = revision;
  return record;
}

ChangeEvent event_of(const VolumeRecord* before, const VolumeRecord& after) {
  const controller::VolumeFields none;
  return ChangeEvent{volume_id, after.version().epoch, after.revision, "configured",
                     controller::difference(before ? controller::fields_of(*before) : none,
                                            controller::fields_of(after), "")};
}

TEST(SimControlStream, I9_one_revision_after_the_other_is_well) {
  Verdict verdict;
  ControlStream stream(verdict);
  const VolumeRecord first = record_at(Epoch{0}, Revision{1});
  const VolumeRecord second = record_at(Epoch{1}, Revision{2});
  stream.committed(&first, event_of(nullptr, first));
  stream.committed(&second, event_of(&first, second));
  stream.committed(nullptr, ChangeEvent{volume_id, Epoch{1}, Revision{3}, "deleted", ""});
  EXPECT_FALSE(verdict.failed()) << verdict.text();
  EXPECT_EQ(stream.events(), 3u);
}

TEST(SimControlStream, I9_a_gap_is_seen) {
  Verdict verdict;
  ControlStream stream(verdict);
  const VolumeRecord first = record_at(Epoch{0}, Revision{1});
  const VolumeRecord third = record_at(Epoch{1}, Revision{3});
  stream.committed(&first, event_of(nullptr, first));
  stream.committed(&third, event_of(&first, third));
  EXPECT_NE(verdict.text().find("does not follow revision 1"), std::string::npos);
}

TEST(SimControlStream, I9_a_revision_used_twice_is_seen) {
  Verdict verdict;
  ControlStream stream(verdict);
  const VolumeRecord first = record_at(Epoch{0}, Revision{1});
  stream.committed(&first, event_of(nullptr, first));
  stream.committed(&first, event_of(&first, first));
  EXPECT_TRUE(verdict.failed());
}

TEST(SimControlStream, I9_an_event_that_does_not_tell_all_is_seen) {
  Verdict verdict;
  ControlStream stream(verdict);
  const VolumeRecord first = record_at(Epoch{0}, Revision{1});
  VolumeRecord second = record_at(Epoch{1}, Revision{2});
  const ChangeEvent event = event_of(&first, second);
  second.primary = ReplicaId{5};  // changed, and not said
  stream.committed(&first, event_of(nullptr, first));
  stream.committed(&second, event);
  EXPECT_NE(verdict.text().find("does not tell what changed"), std::string::npos);
}

TEST(SimControlStream, I9_what_was_not_committed_may_not_be_said) {
  Verdict verdict;
  ControlStream stream(verdict);
  const VolumeRecord first = record_at(Epoch{1}, Revision{1});
  stream.committed(&first, event_of(nullptr, first));
  control::Assign assign;
  assign.assignment.volume = volume_id;
  assign.assignment.epoch = Epoch{1};
  assign.assignment.revision = Revision{1};
  stream.delivered(assign);
  EXPECT_FALSE(verdict.failed()) << verdict.text();
  assign.assignment.revision = Revision{2};
  stream.delivered(assign);
  EXPECT_NE(verdict.text().find("nobody has committed"), std::string::npos);
}

TEST(SimBounded, WhatIsOverItsBoundFailsTheRunAndTheGreatestIsKept) {
  Verdict verdict;
  Bounded bounded(verdict);
  bounded.see(Resource::links, 3, 64, 1);
  bounded.see(Resource::links, 64, 64, 1);
  EXPECT_FALSE(verdict.failed());
  bounded.see(Resource::links, 65, 64, 2);
  EXPECT_EQ(verdict.failure(), Failure::safety);
  EXPECT_NE(verdict.text().find("n2 has links 65, bound 64"), std::string::npos);
  EXPECT_EQ(bounded.greatest()[static_cast<std::size_t>(Resource::links)], 65u);
}

TEST(SimMembership, F29_while_a_change_is_under_way_the_weaker_configuration_counts) {
  VolumeRecord record = record_at(Epoch{1}, Revision{1});
  for (std::uint32_t id = 1; id <= 5; ++id) record.config.members.push_back(ReplicaId{id});
  EXPECT_EQ(copies_tolerated(record), 2u);
  record.wish = record.config;
  record.wish->members.pop_back();
  record.wish->members.pop_back();
  EXPECT_EQ(copies_tolerated(record), 1u);
  record.wish->policy = Policy::in_sync;
  record.wish->min_in_sync = 1;
  EXPECT_EQ(copies_tolerated(record), 0u);
}

TEST(SimMembership, F29_wishes_of_every_kind_are_drawn_and_two_copies_stay) {
  VolumeRecord record = record_at(Epoch{1}, Revision{1});
  for (std::uint32_t id = 1; id <= 2; ++id) {
    record.config.members.push_back(ReplicaId{id});
    record.replicas.push_back({ReplicaId{id}, NodeId{id}, EndpointVersion{}, ""});
  }
  Prng prng(3);
  int added = 0, replaced = 0, policies = 0, cancelled = 0;
  for (int i = 0; i < 200; ++i) {
    const controller::ChangeVolume wish = draw_change(prng, record, 4);
    added += wish.replicas == 3u;
    replaced += !wish.replace.empty();
    policies += !wish.policy.empty();
    cancelled += wish.cancel;
    EXPECT_TRUE(wish.remove.empty()) << "of two copies none is taken away";
    EXPECT_TRUE(wish.to.empty() || wish.to == "n3" || wish.to == "n4") << wish.to;
  }
  EXPECT_GT(added, 10);
  EXPECT_GT(replaced, 10);
  EXPECT_GT(policies, 10);
  EXPECT_GT(cancelled, 5);
}

}  // namespace
}  // namespace seawall::sim
