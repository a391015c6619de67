#include "map_feed.h"

#include <algorithm>
#include <utility>

namespace shoal::p2p {

void MapFeed::push(const MapEntry& entry) { push(std::vector<MapEntry>{entry}); }

void MapFeed::push(const std::vector<MapEntry>& entries) {
  if (entries.empty()) return;
  std::unique_lock lock(mutex_);
  entries_.insert(entries_.end(), entries.begin(), entries.end());
  changed(lock);
}

void MapFeed::set_places(std::uint32_t stripes, TakerRanks moved) {
  std::unique_lock lock(mutex_);
  if (stripes_ == stripes && moved_ == moved) return;
  stripes_ = stripes;
  moved_ = std::move(moved);
  changed(lock);
}

void MapFeed::set_followers(std::uint32_t followers) {
  const std::lock_guard lock(mutex_);
  followers_ = followers;
}

void MapFeed::set_spreads(bool spreads) {
  std::unique_lock lock(mutex_);
  if (std::exchange(spreads_, spreads) != spreads) changed(lock);
}

void MapFeed::end() {
  std::unique_lock lock(mutex_);
  ended_ = true;
  changed(lock);
}

std::size_t MapFeed::size() const {
  const std::lock_guard lock(mutex_);
  return entries_.size();
}

std::vector<MapEntry> MapFeed::all() const {
  const std::lock_guard lock(mutex_);
  return entries_;
}

MapFeed::Cursor MapFeed::attach(std::uint64_t taker) {
  Cursor cursor;
  cursor.taker = taker;
  return cursor;
}

void MapFeed::detach(const Cursor& cursor) {
  const std::lock_guard lock(mutex_);
  waiters_.erase(cursor.taker);
}

MapFeed::News MapFeed::read(Cursor& cursor, std::size_t most) {
  const std::lock_guard lock(mutex_);
  News news;
  const auto n = std::min(most, entries_.size() - cursor.entries);
  const auto from = entries_.begin() + static_cast<std::ptrdiff_t>(cursor.entries);
  news.entries.assign(from, from + static_cast<std::ptrdiff_t>(n));
  cursor.entries += n;
  news.stripes = stripes_;
  if (const auto moved = moved_.find(cursor.taker); moved != moved_.end()) news.rank = moved->second;
  news.followers = followers_;
  news.spreads = spreads_;
  news.ended = ended_;
  cursor.seen = version_;
  return news;
}

void MapFeed::wait(const Cursor& cursor, base::Loop& loop, base::UniqueFunction<void()> wake) {
  std::unique_lock lock(mutex_);
  if (version_ != cursor.seen) {
    lock.unlock();
    loop.post(std::move(wake));
    return;
  }
  waiters_[cursor.taker] = Waiter{&loop, std::move(wake)};
}

void MapFeed::changed(std::unique_lock<std::mutex>& lock) {
  ++version_;
  auto waiters = std::exchange(waiters_, {});
  lock.unlock();
  for (auto& [id, waiter] : waiters) waiter.loop->post(std::move(waiter.wake));
}

}  // namespace shoal::p2p
