// The author's side of a SwarmedBlob: who follows its map, and whom they are told of.
#include <algorithm>

#include "swarm.h"
#include "swarmed_blob.h"

namespace shoal::p2p {

void SwarmedBlob::subscribe(Subscriber subscriber) {
  auto joined = followers_.join(subscriber.peer);
  if (!joined.ok()) return subscriber.ready(joined.error());
  Waiting waiting{std::move(subscriber), std::move(*joined)};
  ready_ ? serve(std::move(waiting)) : waiting_.push_back(std::move(waiting));
}

void SwarmedBlob::serve(Waiting waiting) {
  const auto& peer = waiting.subscriber.peer;
  Subscription subscription;
  subscription.id = waiting.joined.id;
  subscription.feed = feed_;
  subscription.swarm_port = parts_.swarm.port();
  subscription.place = std::move(waiting.joined.place);
  subscription.place.spreads = leading_ || complete_;
  tell_places();
  if (subscription.place.direct && waiting.subscriber.wants_call) share_->connect(peer.ip, peer.port, peer.id);
  waiting.subscriber.ready(std::move(subscription));
}

void SwarmedBlob::unsubscribe(std::uint64_t id) {
  const auto call = followers_.leave(id);
  tell_places();
  if (call && share_) share_->connect(call->ip, call->port, call->id);
  last_use_ = parts_.home.now();
}

void SwarmedBlob::tell_places() {
  feed_->set_places(followers_.stripes(), followers_.moved());
  feed_->set_followers(static_cast<std::uint32_t>(followers_.size()));
}

bool SwarmedBlob::idle(base::SteadyTime now) const { return unused() && now - last_use_ >= linger_; }

std::vector<MapEntry> SwarmedBlob::whole_map() const {
  if (!complete_ || feed_->size() != pieces_) return {};
  return feed_->all();
}

SwarmStatus SwarmedBlob::status() const {
  SwarmStatus status;
  status.digest = digest_.to_string();
  status.size = size_;
  status.piece_length = piece_length_;
  status.pieces = pieces_;
  status.good = static_cast<std::uint32_t>(std::count(good_.begin(), good_.end(), true));
  status.role = complete_ ? "seed" : leading_ ? "fetcher" : "follower";
  status.followers = followers_.size();
  for (const auto& call : calls_) status.authors.push_back(call->author().url);
  status.from_peers = from_peers_;
  return status;
}

}  // namespace shoal::p2p
