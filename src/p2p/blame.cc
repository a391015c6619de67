#include "blame.h"

#include <algorithm>

#include "shoal/base/digest.h"

namespace shoal::p2p {
namespace {

std::vector<PieceHash> block_hashes(std::string_view bytes) {
  std::vector<PieceHash> out;
  for (std::size_t at = 0; at < bytes.size(); at += kBlockSize) out.push_back(hash_of(bytes.substr(at, kBlockSize)));
  return out;
}

bool disjoint(const std::set<PeerRef>& a, const std::set<PeerRef>& b) {
  return std::none_of(a.begin(), a.end(), [&b](PeerRef peer) { return b.count(peer) != 0; });
}

}  // namespace

PieceHash hash_of(std::string_view bytes) {
  const base::Digest digest = base::digest_of(bytes);
  PieceHash out;
  std::copy(digest.bytes().begin(), digest.bytes().end(), out.begin());
  return out;
}

Judgement Blame::failed(std::uint32_t piece, std::string_view bytes, const PieceHash& hash,
                        const std::vector<PeerRef>& authors) {
  Judgement out;
  std::set<PeerRef> peers(authors.begin(), authors.end());
  peers.erase(0);
  if (peers.empty()) return out;
  if (failures_.count(piece) == 0) {
    if (failures_.size() >= kMostPieces) {
      failures_.erase(order_.front());
      order_.pop_front();
    }
    order_.push_back(piece);
  }
  Failure& failure = failures_[piece];
  for (const Attempt& attempt : failure.attempts) {
    if (attempt.hash != hash || !disjoint(attempt.peers, peers)) continue;
    out.bad_map = true;
    out.pardoned = std::move(failure.punished);
    failures_.erase(piece);
    order_.erase(std::find(order_.begin(), order_.end(), piece));
    return out;
  }
  if (peers.size() == 1) {
    out.guilty = peers;
    failure.punished.insert(*peers.begin());
  } else {
    out.suspects = peers;
  }
  failure.attempts.push_back(Attempt{hash, std::move(peers), authors, block_hashes(bytes)});
  if (failure.attempts.size() > kMostAttempts) failure.attempts.pop_front();
  return out;
}

Judgement Blame::passed(std::uint32_t piece, std::string_view bytes) {
  Judgement out;
  const auto found = failures_.find(piece);
  if (found == failures_.end()) return out;
  const std::vector<PieceHash> right = block_hashes(bytes);
  for (const Attempt& attempt : found->second.attempts)
    for (std::size_t i = 0; i < right.size() && i < attempt.blocks.size(); ++i)
      if (attempt.blocks[i] != right[i] && attempt.authors[i] != 0) out.guilty.insert(attempt.authors[i]);
  for (const PeerRef peer : found->second.punished) out.guilty.erase(peer);  // it was told of already
  failures_.erase(found);
  order_.erase(std::find(order_.begin(), order_.end(), piece));
  return out;
}

}  // namespace shoal::p2p
