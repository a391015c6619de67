#include "hash_only.h"

namespace shoal::mirror {
namespace {

class HashOnlyFill final : public store::FillFile {
 public:
  HashOnlyFill(const base::Digest& digest, base::Loop& loop, base::Executor& disk)
      : digest_(digest), loop_(loop), strand_(disk), hasher_(std::make_shared<base::Hasher>(digest.algorithm())) {}

  void open(std::optional<std::uint64_t>, Done<std::uint64_t> done) override {
    reply(std::move(done), base::Result<std::uint64_t>(std::uint64_t{0}));
  }

  void append(std::shared_ptr<const std::string> bytes, Done<std::uint64_t> done) override {
    strand_.post([hasher = hasher_, bytes = std::move(bytes), &loop = loop_, watch = life_.watch(),
                  done = std::move(done)]() mutable {
      hasher->update(*bytes);
      loop.post([watch, done = std::move(done)]() mutable {
        if (!watch.gone()) done(base::Error(base::ErrorKind::full, "passed on without being kept"));
      });
    });
  }

  [[nodiscard]] std::shared_ptr<store::PieceWriter> pieces() override { return nullptr; }

  void absorb(std::uint64_t, Done<std::uint64_t> done) override {
    reply(std::move(done), base::Result<std::uint64_t>(base::Error(base::ErrorKind::bug, "there is no file")));
  }

  void verify(Done<bool> done) override {
    strand_.post(
        [hasher = hasher_, digest = digest_, &loop = loop_, watch = life_.watch(), done = std::move(done)]() mutable {
          const bool matches = hasher->finish() == digest;
          loop.post([watch, matches, done = std::move(done)]() mutable {
            if (!watch.gone()) done(matches);
          });
        });
  }

  void publish(std::string, Done<store::OpenBlob> done) override {
    reply(std::move(done), base::Result<store::OpenBlob>(base::Error(base::ErrorKind::full, "nothing was kept")));
  }

  void restart(std::string, Done<void> done) override {
    hasher_ = std::make_shared<base::Hasher>(digest_.algorithm());
    reply(std::move(done), base::Result<void>());
  }

  void discard() override {}
  [[nodiscard]] std::shared_ptr<const base::File> file() const override { return nullptr; }

 private:
  template <class T>
  void reply(Done<T> done, base::Result<T> result) {
    loop_.post([watch = life_.watch(), done = std::move(done), result = std::move(result)]() mutable {
      if (!watch.gone()) done(std::move(result));
    });
  }

  base::Digest digest_;
  base::Loop& loop_;
  base::Strand strand_;
  std::shared_ptr<base::Hasher> hasher_;  // shared with the strand's running work
  base::Lifetime life_;
};

}  // namespace

std::unique_ptr<store::FillFile> make_hash_only_fill(const base::Digest& digest, base::Loop& loop,
                                                     base::Executor& disk) {
  return std::make_unique<HashOnlyFill>(digest, loop, disk);
}

}  // namespace shoal::mirror
