// MirrorShelf: what neighbours may have of this node: its blobs and manifests, and the tags of mirrored repositories.
// One per loop.
#pragma once

#include "shoal/mirror/mirror.h"
#include "shoal/p2p/site.h"

namespace shoal::app {

class MirrorShelf final : public p2p::Shelf {
 public:
  MirrorShelf(base::Loop& loop, mirror::Mirror& mirror, store::Store& store, base::Clock& clock)
      : loop_(loop), mirror_(mirror), store_(store), clock_(clock) {}
  [[nodiscard]] std::unique_ptr<Pending> open_blob(const std::string& repository, const base::Digest& digest,
                                                   base::UniqueFunction<void(base::Result<Item>)> done) override;
  [[nodiscard]] bool is_proven(const std::string& repository, const base::Digest& digest) override {
    return mirror_.is_proven(repository, digest);
  }
  [[nodiscard]] base::Result<p2p::PeerManifest> find_manifest(const std::string& repository,
                                                              const base::Digest& digest) override;
  [[nodiscard]] base::Result<p2p::PeerTag> find_tag(const std::string& repository, const std::string& tag) override;

 private:
  base::Loop& loop_;
  mirror::Mirror& mirror_;
  store::Store& store_;
  base::Clock& clock_;
};

}  // namespace shoal::app
