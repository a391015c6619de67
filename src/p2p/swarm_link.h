// SwarmLink: the one thing that a fill's loop and the home loop share about a blob in the swarm; and the fill's handle.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "core.h"
#include "shoal/p2p/share.h"

namespace shoal::p2p {

struct SwarmLink {
  SwarmLink(const base::Digest& d, std::uint64_t s, std::shared_ptr<PieceFile> f, std::uint64_t h, base::Loop& l)
      : digest(d), size(s), file(std::move(f)), have(h), loop(l) {}
  const base::Digest digest;
  const std::uint64_t size;
  const std::shared_ptr<PieceFile> file;
  const std::uint64_t have;
  base::Loop& loop;             // the fill's
  SwarmTaker* taker = nullptr;  // there only; null: the fill has left

  // Any thread. Null until the share is open.
  void set_claims(std::shared_ptr<PieceClaims> claims);
  [[nodiscard]] std::shared_ptr<PieceClaims> claims() const;

  // From the home loop.
  template <class F>
  void tell(const std::shared_ptr<SwarmLink>& self, F f) {
    loop.post([self, f = std::move(f)]() mutable {
      if (self->taker != nullptr) f(*self->taker);
    });
  }

 private:
  mutable std::mutex mutex_;
  std::shared_ptr<PieceClaims> claims_;
};

class LoopSwarming final : public Swarming {
 public:
  LoopSwarming(Site::Core& core, std::shared_ptr<SwarmLink> link);
  ~LoopSwarming() override;
  void follow(std::vector<NodeInfo> authors, const std::string& repository) override;
  void lead() override;
  [[nodiscard]] std::uint64_t claim(std::uint64_t begin, std::uint64_t end) override;
  void advance(std::uint64_t end) override;
  [[nodiscard]] bool expects(std::uint64_t offset) const override;
  void complete(std::shared_ptr<void> lease) override;

 private:
  [[nodiscard]] std::uint32_t piece_at(std::uint64_t offset) const;
  Site::Core& core_;
  const std::shared_ptr<SwarmLink> link_;  // shared with the home loop
  const std::uint32_t piece_length_;
  bool complete_ = false;
};

}  // namespace shoal::p2p
