#include "streamed_body.h"

#include <algorithm>

namespace shoal::http {

void StreamedBody::read(base::UniqueFunction<void(base::Result<Chunk>)> done) {
  if (reader_) {
    loop_.post([done = std::move(done)]() mutable {
      done(base::Error(base::ErrorKind::bug, "request body: a second read while one is running"));
    });
    return;
  }
  reader_ = std::move(done);
  was_read_ = true;
  if (!held_.empty() || over()) return deliver_later();
  wanted_();
}

void StreamedBody::append(std::string_view bytes) {
  if (over()) return;
  if (held_.capacity() < chunk_bytes_ && length_) {  // at once, not by doubling
    held_.reserve(static_cast<std::size_t>(std::min<std::uint64_t>(chunk_bytes_, *length_ - total_)));
  }
  held_.append(bytes);
  total_ += bytes.size();
  deliver_later();
}

void StreamedBody::end() {
  if (over()) return;
  ended_ = true;
  deliver_later();
}

void StreamedBody::fail(base::Error error) {
  if (over()) return;
  error_ = std::move(error);
  deliver_later();
}

// In a turn of its own: what else the socket has by then comes in the same chunk.
void StreamedBody::deliver_later() {
  if (!reader_ || delivery_posted_) return;
  delivery_posted_ = true;
  loop_.post([weak = weak_from_this()] {
    if (const auto alive = weak.lock()) alive->deliver();
  });
}

void StreamedBody::deliver() {
  delivery_posted_ = false;
  auto reader = std::move(reader_);
  if (!held_.empty()) {
    auto chunk = std::make_shared<const std::string>(std::exchange(held_, {}));
    reader(base::Result<Chunk>(std::move(chunk)));
    if (!over()) wanted_();
    return;
  }
  if (error_) return reader(*error_);
  reader(base::Result<Chunk>(Chunk()));
}

}  // namespace shoal::http
