#include "name_stream.h"

#include <utility>

namespace shoal::serve {

NameStream::NameStream(Parts parts, Read read, std::string head, const NameSlice& first)
    : parts_(std::move(parts)), read_(std::move(read)) {
  take(first, std::move(head));
}

base::Pulled NameStream::pull(std::uint64_t max) {
  if (!left_.empty()) {
    const auto piece = left_.substr(0, max);
    left_.remove_prefix(piece.size());
    return base::MemorySlice{piece_, piece};
  }
  piece_.reset();
  if (error_) return *error_;
  if (ended_) return base::SourceEnd{};
  if (!reading_) read_on();
  return base::SourcePending{};
}

void NameStream::read_on() {
  reading_ = true;
  parts_.pool.post([this, gate = parts_.gate, loop = &parts_.loop, watch = life_.watch(), read = read_, last = last_] {
    gate->pass([&] {
      loop->post([this, watch, slice = read(last)]() mutable {
        if (watch.gone()) return;
        reading_ = false;
        if (slice) {
          take(*slice, {});
        } else {
          error_ = slice.error();
        }
        if (auto ready = std::exchange(ready_, nullptr)) ready();
      });
    });
  });
}

// Neither tags nor repositories have anything in them that JSON would escape.
void NameStream::append(std::string& text, const NameSlice& slice, bool first) {
  for (const auto& name : slice.names) {
    text += first ? "\"" : ",\"";
    text += name;
    text += '"';
    first = false;
  }
  if (!slice.more) text += "]}";
}

void NameStream::take(const NameSlice& slice, std::string text) {
  append(text, slice, !any_);
  any_ = any_ || !slice.names.empty();
  last_ = slice.last;
  ended_ = !slice.more;
  auto owner = std::make_shared<const std::string>(std::move(text));
  left_ = *owner;
  piece_ = std::move(owner);
}

}  // namespace shoal::serve
