#include "fill_blob.h"

namespace shoal::mirror {
namespace {

// Size and seekability are what they were when it was made: what the client is told must agree with itself.
class FillBlob final : public Blob {
 public:
  FillBlob(std::shared_ptr<FillState> state, FillHold hold, base::Loop& loop, bool gated, Provenance provenance)
      : Blob(std::move(provenance)),
        state_(std::move(state)),
        loop_(loop),
        hold_(std::move(hold)),
        size_(state_->size()),
        kept_(state_->kept()),
        gated_(gated) {}

  [[nodiscard]] std::optional<std::uint64_t> size() const override { return size_; }
  [[nodiscard]] bool seekable() const override { return kept_; }
  [[nodiscard]] std::shared_ptr<const Origins> origins() const override { return origins_; }
  [[nodiscard]] std::unique_ptr<base::ByteSource> read(base::ByteRange range) override {
    return reader(range.begin, range.end);
  }
  [[nodiscard]] std::unique_ptr<base::ByteSource> read_all() override { return reader(0, std::nullopt); }

 private:
  // The first reader takes the hold's place. Further ones (multipart) have their turn later, and must not stop the
  // first from getting there.
  std::unique_ptr<base::ByteSource> reader(std::uint64_t begin, std::optional<std::uint64_t> end) {
    FillState::Cursor cursor;
    cursor.begin = begin;
    cursor.end = end;
    cursor.told = size_;
    cursor.gated = gated_;
    cursor.origins = origins_;
    const bool to_the_end = !end || end == size_;
    const bool first = hold_.holds() && to_the_end;
    auto made = std::make_unique<FillReader>(state_, loop_, cursor,
                                             first ? FillReader::Window::hold : FillReader::Window::from_first_pull);
    hold_.let_go();
    return made;
  }

  std::shared_ptr<FillState> state_;  // shared with the fill and its other readers
  base::Loop& loop_;
  FillHold hold_;
  std::optional<std::uint64_t> size_;
  bool kept_;
  bool gated_;
  std::shared_ptr<Origins> origins_ = std::make_shared<Origins>();  // shared with the readers
};

}  // namespace

std::unique_ptr<Blob> fill_blob(std::shared_ptr<FillState> state, FillHold hold, base::Loop& asker, bool gated,
                                Provenance provenance) {
  return std::make_unique<FillBlob>(std::move(state), std::move(hold), asker, gated, std::move(provenance));
}

}  // namespace shoal::mirror
