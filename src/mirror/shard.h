// Shard: everything the mirror does on one loop. It owns three desks, one for each kind of thing that must be single
// flight: blobs (by digest), manifests and pages (by repository).
#pragma once

#include <atomic>
#include <memory>

#include "blob_desk.h"
#include "manifest_desk.h"
#include "page_desk.h"

namespace shoal::mirror {

class Shard {
 public:
  Shard(const DeskParts& parts, const MirrorOptions& options)
      : loop(parts.loop), blobs(parts, options), manifests(parts, options), pages(parts, options, manifests) {}

  base::Loop& loop;
  BlobDesk blobs;
  ManifestDesk manifests;
  PageDesk pages;  // asks `manifests`
};

}  // namespace shoal::mirror
