#include "map_source.h"

#include <algorithm>
#include <utility>

namespace shoal::p2p {

MapSource::MapSource(MapAnswer answer, const Seal& seal, std::string nonce, base::Loop& loop)
    : answer_(std::move(answer)),
      frames_(seal, std::move(nonce)),
      loop_(loop),
      cursor_(answer_.feed->attach(answer_.taker)),
      last_frame_(loop.now()) {}

MapSource::~MapSource() { answer_.feed->detach(cursor_); }

base::Pulled MapSource::pull(std::uint64_t max) {
  if (chunk_ == nullptr || at_ == chunk_->size()) {
    chunk_.reset();
    at_ = 0;
    next_frame();
  }
  if (chunk_ == nullptr) {
    if (ended_) return base::SourceEnd{};
    return base::SourcePending{};
  }
  const auto part = std::string_view(*chunk_).substr(at_, static_cast<std::size_t>(max));
  at_ += part.size();
  return base::MemorySlice{chunk_, part};
}

void MapSource::next_frame() {
  const auto news = answer_.feed->read(cursor_, kMaxEntries);
  cursor_.followers = news.followers;
  std::string frame;
  auto& place = answer_.place;
  const auto rank = news.rank.value_or(place.rank);
  const bool moved = rank != place.rank || news.stripes != place.of || news.spreads != place.spreads;
  if (!std::exchange(placed_, true) || moved) {
    place.rank = rank;
    place.of = news.stripes;
    place.spreads = news.spreads;
    frame = frames_.place(place);
    place.peers.clear();  // told once
  }
  if (!news.entries.empty()) frame += frames_.entries(news.entries);
  ended_ = news.ended && frame.empty();
  if (frame.empty() && !ended_ && loop_.now() - last_frame_ >= kKeepAlive) frame = frames_.keep_alive();
  if (frame.empty()) return;
  last_frame_ = loop_.now();
  chunk_ = std::make_shared<const std::string>(std::move(frame));
}

void MapSource::on_ready(base::UniqueFunction<void()> ready) {
  ready_ = std::move(ready);
  const auto wake = [watch = life_.watch(), this] {
    if (!watch.gone()) this->wake();
  };
  answer_.feed->wait(cursor_, loop_, [watch = life_.watch(), this] {
    if (!watch.gone()) gather();
  });
  const auto silent = std::chrono::duration_cast<std::chrono::milliseconds>(loop_.now() - last_frame_);
  timer_ = loop_.schedule(std::max(kKeepAlive - silent, std::chrono::milliseconds(1)), wake);
}

void MapSource::gather() {
  using std::chrono::milliseconds;
  const auto left = std::chrono::floor<milliseconds>(last_frame_ + gather_time(cursor_.followers) - loop_.now());
  if (left <= milliseconds(0)) return wake();
  timer_ = loop_.schedule(left, [watch = life_.watch(), this] {
    if (!watch.gone()) wake();
  });
}

void MapSource::wake() {
  timer_.cancel();
  if (auto ready = std::exchange(ready_, nullptr)) ready();
}

}  // namespace shoal::p2p
