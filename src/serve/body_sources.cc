#include "body_sources.h"

#include "serve_probe.h"

namespace shoal::serve {

base::Pulled MemorySource::pull(std::uint64_t max) {
  if (left_.empty()) return base::SourceEnd{};
  const auto piece = left_.substr(0, max);
  left_.remove_prefix(piece.size());
  return base::MemorySlice{owner_, piece};
}

base::Pulled CountedSource::pull(std::uint64_t max) {
  auto piece = source_->pull(max);
  if (const auto* file = std::get_if<base::FileSlice>(&piece)) probe_->taken(file->size);
  if (const auto* memory = std::get_if<base::MemorySlice>(&piece)) probe_->taken(memory->bytes.size());
  return piece;
}

void ChainSource::add(std::string text) {
  auto owner = std::make_shared<const std::string>(std::move(text));
  const std::string_view bytes = *owner;
  parts_.push_back(std::make_unique<MemorySource>(std::move(owner), bytes));
}

base::Pulled ChainSource::pull(std::uint64_t max) {
  while (current_ < parts_.size()) {
    auto piece = parts_[current_]->pull(max);
    if (!std::holds_alternative<base::SourceEnd>(piece)) return piece;
    parts_[current_].reset();
    ++current_;
  }
  return base::SourceEnd{};
}

}  // namespace shoal::serve
