// LoopNeighbours: the site as one loop's mirror sees it.
#pragma once

#include "core.h"

namespace shoal::p2p {

class LoopNeighbours final : public Neighbours {
 public:
  LoopNeighbours(Site::Core& core, base::Loop& loop, fetch::Client& client)
      : core_(core), loop_(loop), client_(client) {}
  [[nodiscard]] const NeighbourOptions& options() const override { return core_.options.neighbours; }
  [[nodiscard]] std::unique_ptr<Ticket> ticket(const base::Digest& digest, std::optional<std::uint64_t> size,
                                               base::UniqueFunction<void()> lost) override;
  [[nodiscard]] std::unique_ptr<PeerCall> get_blob(const NodeInfo& from, const base::Digest& digest,
                                                   const std::string& repository, std::uint64_t offset,
                                                   PeerSink& sink) override;
  [[nodiscard]] std::unique_ptr<PeerCall> get_manifest(
      const NodeInfo& from, const base::Digest& digest, const std::string& repository,
      base::UniqueFunction<void(base::Result<PeerManifest>)> done) override;
  [[nodiscard]] std::unique_ptr<PeerCall> find_tag(const std::string& repository, const std::string& tag,
                                                   base::UniqueFunction<void(base::Result<PeerTag>)> done) override;
  [[nodiscard]] std::unique_ptr<Swarming> swarm(const base::Digest& digest, std::uint64_t size,
                                                std::shared_ptr<store::PieceWriter> file, std::uint64_t have,
                                                SwarmTaker& taker) override;

 private:
  Site::Core& core_;
  base::Loop& loop_;
  fetch::Client& client_;
};

}  // namespace shoal::p2p
