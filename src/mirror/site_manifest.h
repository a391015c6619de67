// SiteManifest: one manifest, by digest, from the site: asks who has it and takes it from there, or learns that it is
// this node's turn to ask upstream. One loop; dropping it cancels and gives up the turn.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "shoal/base/loop.h"
#include "shoal/p2p/neighbours.h"

namespace shoal::mirror {

class SiteManifest {
 public:
  enum class Need { bytes, bytes_and_proof };  // a proof: upstream told the neighbour that the repository has it
  // `done` runs once, later: the manifest, or nothing: ask upstream.
  SiteManifest(p2p::Neighbours& site, base::Loop& loop, const base::Digest& digest, std::string repository, Need need,
               base::UniqueFunction<void(std::optional<p2p::PeerManifest>)> done);
  void start() { ask(); }
  void stored();  // it is in the index: neighbours may have it from here
  [[nodiscard]] const std::string& peer() const { return peer_.url; }  // who sent it

 private:
  void ask();
  void advised(const p2p::Ticket::Answer& answer);
  void got(base::Result<p2p::PeerManifest> manifest);
  void again();
  void finish(std::optional<p2p::PeerManifest> manifest);

  p2p::Neighbours& site_;
  base::Loop& loop_;
  base::Digest digest_;
  std::string repository_;
  Need need_;
  base::UniqueFunction<void(std::optional<p2p::PeerManifest>)> done_;
  base::SteadyTime began_;
  std::unique_ptr<p2p::Ticket> ticket_;
  std::unique_ptr<p2p::PeerCall> call_;
  p2p::NodeInfo peer_;
  std::vector<std::string> avoid_;
  base::Timer timer_;
};

}  // namespace shoal::mirror
