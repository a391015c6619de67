#include "share_events.h"

namespace shoal::p2p {

void ShareEvents::push(Event event) {
  {
    const std::lock_guard lock(mutex_);
    events_.push_back(std::move(event));
    if (posted_) return;
    posted_ = true;
  }
  loop_.post([self = shared_from_this()] { self->deliver(); });
}

void ShareEvents::deliver() {
  std::vector<Event> events;
  {
    const std::lock_guard lock(mutex_);
    events.swap(events_);
    posted_ = false;
  }
  for (Event& event : events) {
    if (receiver_ == nullptr) return;  // also when one of these events made the owner drop the share
    hand(event);
  }
}

void ShareEvents::hand(Event& event) {
  if (const auto* good = std::get_if<Good>(&event)) return receiver_->piece_good(good->piece);
  if (auto* bad = std::get_if<Bad>(&event)) return receiver_->piece_bad(bad->piece, std::move(bad->judgement));
  if (const auto* missing = std::get_if<Missing>(&event)) return receiver_->map_missing(missing->piece);
  if (const auto* restored = std::get_if<Restored>(&event)) return receiver_->piece_restored(restored->piece);
  receiver_->trouble(std::move(std::get<base::Error>(event)));
}

}  // namespace shoal::p2p
