#include "shelf.h"

#include <algorithm>

namespace shoal::app {
namespace {

using base::ErrorKind;

base::Error error_of(const mirror::Refusal& refusal) {
  const bool absent = refusal.kind == mirror::Refusal::Kind::not_found;
  return {absent ? ErrorKind::not_found : ErrorKind::busy, refusal.message};
}

struct Opening final : p2p::Shelf::Pending {
  std::unique_ptr<mirror::Pending> pending;
};

std::chrono::seconds since(base::WallTime then, base::WallTime now) {
  return std::max(std::chrono::seconds(0), std::chrono::duration_cast<std::chrono::seconds>(now - then));
}

}  // namespace

std::unique_ptr<p2p::Shelf::Pending> MirrorShelf::open_blob(const std::string& repository, const base::Digest& digest,
                                                            base::UniqueFunction<void(base::Result<Item>)> done) {
  auto opening = std::make_unique<Opening>();
  opening->pending = mirror_.peek_blob(
      loop_, digest,
      [this, repository, digest,
       done = std::move(done)](mirror::Outcome<std::unique_ptr<mirror::Blob>> outcome) mutable {
        if (const auto* refusal = std::get_if<mirror::Refusal>(&outcome)) return done(error_of(*refusal));
        auto& blob = std::get<std::unique_ptr<mirror::Blob>>(outcome);
        Item item;
        item.size = blob->size();
        item.proven = mirror_.is_proven(repository, digest);
        // Without a size the end is wherever upstream ends.
        item.read = [blob = std::move(blob)](std::uint64_t offset) -> std::unique_ptr<base::ByteSource> {
          const auto size = blob->size();
          if (offset == 0) return blob->read_all();
          return size ? blob->read({offset, *size}) : nullptr;
        };
        done(std::move(item));
      });
  return opening;
}

base::Result<p2p::PeerManifest> MirrorShelf::find_manifest(const std::string& repository, const base::Digest& digest) {
  const store::ReadWatch reads(store_);
  auto record = store_.find_manifest(digest);
  if (!record) {
    return reads.failed() ? store::unreadable_index()
                          : base::Error(ErrorKind::not_found, digest.to_string() + " is not here");
  }
  return p2p::PeerManifest{std::move(record->media_type), std::move(record->bytes),
                           mirror_.is_proven(repository, digest)};
}

base::Result<p2p::PeerTag> MirrorShelf::find_tag(const std::string& repository, const std::string& tag) {
  const store::ReadWatch reads(store_);
  const auto record = store_.find_tag(repository, tag);
  // A hosted repository may be called like a mirrored one elsewhere: its tags say nothing about upstream.
  const bool hosted = store_.hosted().is_hosted(repository);
  if (reads.failed()) return store::unreadable_index();
  if (!record || hosted) {
    return base::Error(ErrorKind::not_found, "that tag is not known here");
  }
  const auto now = clock_.wall_now();
  return p2p::PeerTag{record->digest, since(record->fetched, now), since(record->checked, now)};
}

}  // namespace shoal::app
