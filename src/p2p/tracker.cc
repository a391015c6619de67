#include "shoal/p2p/tracker.h"

#include <algorithm>
#include <bit>

#include "shoal/base/format.h"
#include "tracker_advice.h"
#include "tracker_shard.h"

namespace shoal::p2p {
namespace {

// Of one call of sweep().
constexpr std::size_t kWantedAtOnce = 4'096;
constexpr std::size_t kPiecesAtOnce = 512;  // of eight buckets

// Enough that a shard's table grows in a fraction of a millisecond, and that two threads rarely meet.
std::size_t shards_for(std::size_t max_blobs) {
  return std::bit_floor(std::clamp<std::size_t>(max_blobs / 2'048, 1, 256));
}

base::Error too_many(const char* what, std::size_t most) {
  return {base::ErrorKind::invalid, base::format("more than {} {}", most, what)};
}

}  // namespace

struct Tracker::Impl {
  Impl(NodeInfo self, TrackerOptions given)
      : options(given),
        members(std::move(self), options),
        room(std::max<std::size_t>(options.max_blobs, 1)),
        shards(shards_for(options.max_blobs)) {}

  // By other bytes than those that choose the bucket.
  TrackerShard& shard_of(const BlobKey& key) {
    return shards[(static_cast<std::size_t>(key[30]) << 8 | key[31]) % shards.size()];
  }
  template <class Use>
  [[nodiscard]] bool with(const base::Digest& digest, base::SteadyTime now, Use use) {
    const BlobKey key = key_of(digest);
    return shard_of(key).with(key, room, [&](BlobRecord& record) { use(record, MemberTable::View(members, now)); });
  }

  [[nodiscard]] bool room_for_interest(BlobRecord& record, NodeRef node) {
    return counts.interests < options.max_interests || (record.wanted() && record.demand()->find(node) != nullptr);
  }

  // False: the lease is another's.
  bool renew(NodeRef node, const base::Digest& digest, base::SteadyTime now) {
    bool lost = false;
    // Without room it is not remembered, and perhaps fetched twice; to stop the fetch would be worse.
    (void)with(digest, now, [&](BlobRecord& record, const MemberTable::View& view) {
      if (record.holders().contains(node)) return;  // it has said since that it has all of it
      const NodeRef holder = record.current_lease(view, counts);
      lost = holder != 0 && holder != node;
      if (lost || !room_for_interest(record, node)) return;
      record.lease_to(node, now + options.lease, counts);
      record.set_role(node, Role::fetches, now, counts);
    });
    return !lost;
  }

  void have(NodeRef node, const base::Digest& digest, base::SteadyTime now) {
    // Without room it is forgotten at once, as the longest unused would be.
    (void)with(digest, now, [&](BlobRecord& record, const MemberTable::View& view) {
      record.lose_interest(node, counts);
      record.add_holder(node, std::max<std::size_t>(options.max_holders, 1), view);
    });
  }

  void gone(NodeRef node, const base::Digest& digest) {
    const BlobKey key = key_of(digest);
    shard_of(key).with_known(key, room, [&](BlobRecord& record) {
      record.lose_interest(node, counts);
      record.holders().remove(node);
    });
  }

  const TrackerOptions options;
  MemberTable members;
  RecordCounts counts;
  Room room;
  std::vector<TrackerShard> shards;
  std::atomic<std::size_t> next_shard{0};
  std::atomic<std::uint64_t> wants{0};
  std::atomic<std::uint64_t> announces{0};
};

Tracker::Tracker(NodeInfo self, TrackerOptions options) : impl_(std::make_unique<Impl>(std::move(self), options)) {}
Tracker::~Tracker() = default;

base::Result<Advice> Tracker::want(const NodeInfo& who, const Want& want, base::SteadyTime now) {
  Impl& impl = *impl_;
  ++impl.wants;
  if (want.avoid.size() > kMaxAvoid) return too_many("nodes to avoid", kMaxAvoid);
  const auto node = impl.members.hear(who, now);
  if (!node) return node.error();
  base::Result<Advice> advice = base::Error(base::ErrorKind::busy, "the tracker has no room for another blob");
  (void)impl.with(want.digest, now, [&](BlobRecord& record, const MemberTable::View& view) {
    if (impl.room_for_interest(record, *node)) {
      advice = advise(record, *node, want.avoid, view, impl.options, impl.counts);
    } else {
      record.holders().remove(*node);
      advice = base::Error(base::ErrorKind::busy, "too many nodes want too many blobs of this tracker");
    }
  });
  return advice;
}

base::Result<AnnounceAnswer> Tracker::announce(const Announce& announce, base::SteadyTime now) {
  Impl& impl = *impl_;
  ++impl.announces;
  if (announce.fetching.size() + announce.have.size() + announce.gone.size() > kMaxDigests)
    return too_many("digests", kMaxDigests);
  AnnounceAnswer answer;
  const auto node = impl.members.greet(announce, now, answer);
  if (!node) return node.error();
  for (const auto& digest : announce.fetching) {
    if (!impl.renew(*node, digest, now)) answer.lost.push_back(digest);
  }
  for (const auto& digest : announce.gone) impl.gone(*node, digest);
  for (const auto& digest : announce.have) impl.have(*node, digest, now);
  if (announce.leaving) impl.members.leave(*node, now);
  const NodeInfo self = impl.members.self();
  answer.trackers.push_back(self.url);
  answer.id = self.id;
  return answer;
}

void Tracker::sweep(base::SteadyTime now) {
  Impl& impl = *impl_;
  impl.members.sweep(now);
  const std::size_t share = std::max<std::size_t>(kWantedAtOnce / impl.shards.size(), 1);
  for (auto& shard : impl.shards) {
    for (std::size_t left = std::min(shard.wanted(), share); left > 0; --left) {
      if (!shard.sweep_wanted(impl.members, now, impl.counts, impl.room)) break;
    }
  }
  std::size_t rounds = 0;
  for (std::size_t piece = 0; piece < kPiecesAtOnce && rounds < impl.shards.size(); ++piece) {
    TrackerShard& shard = impl.shards[impl.next_shard % impl.shards.size()];
    if (!shard.sweep_some(impl.members, now, impl.counts, impl.room)) continue;
    ++impl.next_shard;
    ++rounds;
  }
}

std::vector<Member> Tracker::members() const { return impl_->members.present(); }

TrackerTotals Tracker::totals() const {
  const Impl& impl = *impl_;
  return {.nodes = impl.members.size(),
          .blobs = impl.room.blobs,
          .leases = impl.counts.leases,
          .interests = impl.counts.interests,
          .forgotten = impl.room.forgotten,
          .wants = impl.wants,
          .announces = impl.announces};
}

}  // namespace shoal::p2p
