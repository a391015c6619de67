// Transfers from neighbours: a blob as it arrives, a manifest, a tag. One loop; dropping one cancels it.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core.h"
#include "shoal/fetch/client.h"

namespace shoal::p2p {

[[nodiscard]] std::unique_ptr<PeerCall> get_peer_blob(Site::Core& core, fetch::Client& client, const NodeInfo& from,
                                                      const base::Digest& digest, const std::string& repository,
                                                      std::uint64_t offset, PeerSink& sink);
[[nodiscard]] std::unique_ptr<PeerCall> get_peer_manifest(Site::Core& core, base::Loop& loop, fetch::Client& client,
                                                          const NodeInfo& from, const base::Digest& digest,
                                                          const std::string& repository,
                                                          base::UniqueFunction<void(base::Result<PeerManifest>)> done);
[[nodiscard]] std::unique_ptr<PeerCall> find_peer_tag(Site::Core& core, base::Loop& loop, fetch::Client& client,
                                                      const std::string& repository, const std::string& tag,
                                                      base::UniqueFunction<void(base::Result<PeerTag>)> done);

}  // namespace shoal::p2p
