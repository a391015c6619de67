#include "shoal/mirror/mirror.h"

#include "index.h"
#include "mirror_probe.h"
#include "shard.h"
#include "shoal/mirror/freshness.h"

namespace shoal::mirror {

Mirror::Mirror(store::Store& store, base::Executor& disk, base::Clock& clock, obs::Metrics& metrics,
               MirrorOptions options, std::vector<LoopParts> loops, obs::EventSink& events)
    : clock_(clock), probe_(std::make_unique<MirrorProbe>(metrics)), index_(std::make_unique<Index>(store, disk)) {
  for (const auto& parts : loops) {
    shards_.push_back(std::make_unique<Shard>(
        DeskParts{parts.loop, clock, *index_, disk, *probe_, parts.upstreams, events, parts.site}, options));
  }
}

Mirror::~Mirror() = default;

Shard& Mirror::owner_of(const base::Digest& digest) { return *shards_[digest.hash() % shards_.size()]; }
Shard& Mirror::owner_of(std::string_view canonical) {
  return *shards_[std::hash<std::string_view>()(canonical) % shards_.size()];
}

std::optional<ManifestAnswer> Mirror::try_manifest(const Target& target, const registry::Reference& reference,
                                                   upstream::Registry& upstream) {
  const auto canonical = target.canonical();
  std::optional<ManifestAnswer> answer;
  if (const auto* tag = std::get_if<registry::Tag>(&reference)) {
    const auto record = index_->find_tag(canonical, *tag);
    if (!record) return std::nullopt;
    const auto now = clock_.wall_now();
    const auto age = now - record->checked;  // the cheap half of freshness(): fresh needs no look at upstream's health
    const auto ttl = upstream.options().tags.ttl;
    if (age >= ttl || age < -ttl) return std::nullopt;
    answer = answer_from(*index_, record->digest);
    if (answer) answer->provenance.age = age_of(record->checked, now);
  } else {
    const auto& digest = std::get<base::Digest>(reference);
    const auto link = index_->find_link(canonical, digest);
    if (!link || !link->proven) return std::nullopt;
    answer = answer_from(*index_, digest);
  }
  if (answer) index_->store().touch_manifest(answer->digest);
  return answer;
}

std::unique_ptr<Blob> Mirror::try_blob(const Target& target, const base::Digest& digest) {
  const auto link = index_->find_link(target.canonical(), digest);
  if (!link || !link->proven) return nullptr;
  auto open = index_->store().open_blob(digest);
  if (!open.ok()) return nullptr;
  index_->store().touch_blob(digest);
  return stored_blob(std::move(*open), Provenance{});
}

namespace {

// Makes the mailbox, runs `work` with it on the owner's loop, hands the asker its wish.
template <class T, class Work>
std::unique_ptr<Pending> ask(base::Loop& asker, base::Loop& owner, Mirror::Done<T> done, Work work) {
  auto box = std::make_shared<Mailbox<T>>(asker, std::move(done));
  owner.post([box, work = std::move(work)]() mutable {
    if (box->wanted()) work(box);
  });
  return std::make_unique<typename Mailbox<T>::Wish>(box);
}

}  // namespace

std::unique_ptr<Pending> Mirror::get_manifest(base::Loop& loop, const Target& target,
                                              const registry::Reference& reference, Done<ManifestAnswer> done) {
  auto& shard = owner_of(target.canonical());
  return ask<ManifestAnswer>(loop, shard.loop, std::move(done), [&shard, target, reference](Box<ManifestAnswer> box) {
    shard.manifests.get(target, reference, std::move(box));
  });
}

std::unique_ptr<Pending> Mirror::open_blob(base::Loop& loop, const Target& target, const base::Digest& digest,
                                           Done<std::unique_ptr<Blob>> done) {
  auto& shard = owner_of(digest);
  return ask<std::unique_ptr<Blob>>(
      loop, shard.loop, std::move(done),
      [&shard, target, digest](Box<std::unique_ptr<Blob>> box) { shard.blobs.open(target, digest, std::move(box)); });
}

std::unique_ptr<Pending> Mirror::peek_blob(base::Loop& loop, const base::Digest& digest,
                                           Done<std::unique_ptr<Blob>> done) {
  auto& shard = owner_of(digest);
  return ask<std::unique_ptr<Blob>>(
      loop, shard.loop, std::move(done),
      [&shard, digest](Box<std::unique_ptr<Blob>> box) { shard.blobs.peek(digest, std::move(box)); });
}

// Upstream's word only: a hosted repository may be called like a mirrored one elsewhere.
bool Mirror::is_proven(const std::string& canonical, const base::Digest& digest) const {
  const auto link = index_->find_link(canonical, digest);
  return link && link->proven && !link->hosted;
}

std::unique_ptr<Pending> Mirror::stat_blob(base::Loop& loop, const Target& target, const base::Digest& digest,
                                           Done<BlobStat> done) {
  auto& shard = owner_of(digest);
  return ask<BlobStat>(loop, shard.loop, std::move(done), [&shard, target, digest](Box<BlobStat> box) {
    shard.blobs.stat(target, digest, std::move(box));
  });
}

std::unique_ptr<Pending> Mirror::list_tags(base::Loop& loop, const Target& target, std::string query,
                                           Done<TagPage> done) {
  auto& shard = owner_of(target.canonical());
  return ask<TagPage>(loop, shard.loop, std::move(done),
                      [&shard, target, query = std::move(query)](Box<TagPage> box) mutable {
                        shard.pages.tags(target, std::move(query), std::move(box));
                      });
}

std::unique_ptr<Pending> Mirror::referrers(base::Loop& loop, const Target& target, const base::Digest& digest,
                                           std::string query, Done<TagPage> done) {
  auto& shard = owner_of(target.canonical());
  return ask<TagPage>(loop, shard.loop, std::move(done),
                      [&shard, target, digest, query = std::move(query)](Box<TagPage> box) mutable {
                        shard.pages.referrers(target, digest, std::move(query), std::move(box));
                      });
}

void Mirror::set_options(const MirrorOptions& options) {
  for (auto& shard : shards_) {
    shard->loop.post([&shard = *shard, options] {
      shard.blobs.set_options(options);
      shard.manifests.set_options(options);
      shard.pages.set_options(options);
    });
  }
}

void Mirror::stop(base::UniqueFunction<void()> stopped) {
  auto left = std::make_shared<std::atomic<std::size_t>>(shards_.size());
  auto done = std::make_shared<base::UniqueFunction<void()>>(std::move(stopped));
  for (auto& shard : shards_) {
    shard->loop.post([&shard = *shard, left, done] {
      shard.manifests.stop();
      shard.pages.stop();
      shard.blobs.stop([left, done] {
        if (left->fetch_sub(1) == 1) (*done)();
      });
    });
  }
}

}  // namespace shoal::mirror
