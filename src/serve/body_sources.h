// Bodies that are put together from others.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "shoal/base/byte_source.h"

namespace shoal::serve {

class ServeProbe;

// Part of a string that somebody else keeps.
class MemorySource final : public base::ByteSource {
 public:
  MemorySource(std::shared_ptr<const std::string> owner, std::string_view bytes)
      : owner_(std::move(owner)), left_(bytes) {}
  [[nodiscard]] base::Pulled pull(std::uint64_t max) override;
  void on_ready(base::UniqueFunction<void()>) override {}  // never pending

 private:
  std::shared_ptr<const std::string> owner_;  // shared with the cache record and other answers
  std::string_view left_;
};

// One source after the other: multipart/byteranges is texts and ranges in turn.
class ChainSource final : public base::ByteSource {
 public:
  void add(std::unique_ptr<base::ByteSource> part) { parts_.push_back(std::move(part)); }
  void add(std::string text);
  [[nodiscard]] base::Pulled pull(std::uint64_t max) override;
  void on_ready(base::UniqueFunction<void()> ready) override { parts_[current_]->on_ready(std::move(ready)); }

 private:
  std::vector<std::unique_ptr<base::ByteSource>> parts_;
  std::size_t current_ = 0;
};

// Another's bytes, counted as they are taken.
class CountedSource final : public base::ByteSource {
 public:
  CountedSource(std::unique_ptr<base::ByteSource> source, std::shared_ptr<ServeProbe> probe)
      : source_(std::move(source)), probe_(std::move(probe)) {}
  [[nodiscard]] base::Pulled pull(std::uint64_t max) override;
  void on_ready(base::UniqueFunction<void()> ready) override { source_->on_ready(std::move(ready)); }

 private:
  std::unique_ptr<base::ByteSource> source_;
  const std::shared_ptr<ServeProbe> probe_;  // shared by all handlers
};

}  // namespace shoal::serve
