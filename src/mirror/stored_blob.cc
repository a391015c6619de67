// Blobs that are complete on disk.
#include "blob_desk.h"

namespace shoal::mirror {
namespace {

class StoredSource final : public base::ByteSource {
 public:
  StoredSource(store::OpenBlob open, base::ByteRange range) : open_(std::move(open)), left_(range) {}

  [[nodiscard]] base::Pulled pull(std::uint64_t max) override {
    if (left_.empty()) return base::SourceEnd{};
    const auto size = std::min(max, left_.size());
    base::FileSlice slice{open_.file(), left_.begin, size};
    left_.begin += size;
    return slice;
  }
  void on_ready(base::UniqueFunction<void()>) override {}  // never pending

 private:
  store::OpenBlob open_;  // its lease keeps eviction away
  base::ByteRange left_;
};

class StoredBlob final : public Blob {
 public:
  StoredBlob(store::OpenBlob open, Provenance provenance) : Blob(std::move(provenance)), open_(std::move(open)) {}
  [[nodiscard]] std::optional<std::uint64_t> size() const override { return open_.size(); }
  [[nodiscard]] bool seekable() const override { return true; }
  [[nodiscard]] std::unique_ptr<base::ByteSource> read(base::ByteRange range) override {
    range.end = std::min(range.end, open_.size());
    return std::make_unique<StoredSource>(open_, range);
  }
  [[nodiscard]] std::unique_ptr<base::ByteSource> read_all() override { return read({0, open_.size()}); }

 private:
  store::OpenBlob open_;
};

}  // namespace

std::unique_ptr<Blob> stored_blob(store::OpenBlob open, Provenance provenance) {
  return std::make_unique<StoredBlob>(std::move(open), std::move(provenance));
}

}  // namespace shoal::mirror
