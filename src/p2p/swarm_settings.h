// The libtorrent settings of a Swarm. Pure.
#pragma once

#include <libtorrent/add_torrent_params.hpp>
#include <libtorrent/ip_filter.hpp>
#include <libtorrent/settings_pack.hpp>

#include "shared_blob.h"
#include "swarm.h"

namespace shoal::p2p {

[[nodiscard]] lt::settings_pack swarm_settings(const SwarmOptions& options);
// Bytes a second, 0 for no limit; for a session that runs.
[[nodiscard]] lt::settings_pack rate_settings(std::uint64_t upload, std::uint64_t download);
// Nobody else is talked to, nor called because somebody says that there is a peer. Empty: everybody is.
[[nodiscard]] lt::ip_filter only_these(const std::vector<Network>& allow);
// A torrent over the blob with the pieces that are good now; paused, not auto-managed. ErrorKind::bug: libtorrent does
// not take the name we made.
[[nodiscard]] base::Result<lt::add_torrent_params> torrent_of(const SharedBlob& blob, const SwarmOptions& options);

}  // namespace shoal::p2p
