#include "loop_neighbours.h"

#include "swarm_desk.h"
#include "ticket.h"
#include "transfers.h"

namespace shoal::p2p {

std::unique_ptr<Ticket> LoopNeighbours::ticket(const base::Digest& digest, std::optional<std::uint64_t> size,
                                               base::UniqueFunction<void()> lost) {
  return std::make_unique<SiteTicket>(core_, loop_, client_, digest, size, std::move(lost));
}

std::unique_ptr<PeerCall> LoopNeighbours::get_blob(const NodeInfo& from, const base::Digest& digest,
                                                   const std::string& repository, std::uint64_t offset,
                                                   PeerSink& sink) {
  return get_peer_blob(core_, client_, from, digest, repository, offset, sink);
}

std::unique_ptr<PeerCall> LoopNeighbours::get_manifest(const NodeInfo& from, const base::Digest& digest,
                                                       const std::string& repository,
                                                       base::UniqueFunction<void(base::Result<PeerManifest>)> done) {
  return get_peer_manifest(core_, loop_, client_, from, digest, repository, std::move(done));
}

std::unique_ptr<PeerCall> LoopNeighbours::find_tag(const std::string& repository, const std::string& tag,
                                                   base::UniqueFunction<void(base::Result<PeerTag>)> done) {
  return find_peer_tag(core_, loop_, client_, repository, tag, std::move(done));
}

std::unique_ptr<Swarming> LoopNeighbours::swarm(const base::Digest& digest, std::uint64_t size,
                                                std::shared_ptr<store::PieceWriter> file, std::uint64_t have,
                                                SwarmTaker& taker) {
  if (core_.view()->peers.empty()) return nullptr;
  if (file == nullptr || size == 0 || size < core_.options.swarm.min_size || !core_.door->is_open()) return nullptr;
  auto link = std::make_shared<SwarmLink>(digest, size, std::move(file), have, loop_);
  link->taker = &taker;
  return std::make_unique<LoopSwarming>(core_, std::move(link));
}

}  // namespace shoal::p2p
