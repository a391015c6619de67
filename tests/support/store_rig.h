// StoreRig: a store in a directory of its own, all of its disk and loop work run by the test's thread. Blocking helpers
// for what a mirror does with it.
#pragma once

#include <gtest/gtest.h>

#include "shoal/store/store.h"
#include "support/fake_loop.h"
#include "support/queue_loop.h"
#include "support/recording_events.h"
#include "support/temp_dir.h"

namespace shoal::test {

using OpenStore =
    std::function<base::Result<std::unique_ptr<store::Store>>(store::StoreOptions, base::Executor&, base::Clock&)>;

inline std::shared_ptr<const std::string> shared(std::string text) {
  return std::make_shared<const std::string>(std::move(text));
}

inline std::string read_all(const store::OpenBlob& blob) {
  std::string bytes(blob.size(), '\0');
  const auto n = ::pread(blob.file()->fd(), bytes.data(), bytes.size(), 0);
  bytes.resize(n < 0 ? 0 : static_cast<std::size_t>(n));
  return bytes;
}

class StoreRig {
 public:
  explicit StoreRig(OpenStore open = nullptr) : open_(std::move(open)) {
    if (!open_) {
      open_ = [this](store::StoreOptions with, base::Executor& disk, base::Clock& wall) {
        return store::Store::open(std::move(with), disk, wall, events);
      };
    }
    options.path = dir.file("store");
    options.min_free = 0;
    options.index_size = 64ULL << 20;
  }
  ~StoreRig() { close(); }
  StoreRig(const StoreRig&) = delete;
  StoreRig& operator=(const StoreRig&) = delete;

  store::Store& start() {
    auto opened = open_(options, loop, clock);
    EXPECT_TRUE(opened.ok()) << opened.error().message();
    store = std::move(opened).value();
    return *store;
  }
  void close() { store.reset(); }
  store::Store& restart() {
    close();
    return start();
  }

  // Waits for the answer of something that takes a Done<T>.
  template <class T, class F>
  base::Result<T> wait(F&& start_it) {
    std::optional<base::Result<T>> answer;
    start_it([&answer](base::Result<T> result) { answer.emplace(std::move(result)); });
    if (!loop.run_until([&answer] { return answer.has_value(); })) {
      return base::Error(base::ErrorKind::timeout, "no answer in the test");
    }
    return std::move(*answer);
  }
  base::Result<void> commit(std::vector<store::Write> writes) {
    return wait<void>([&](auto done) { store->commit(std::move(writes), loop, std::move(done)); });
  }
  base::Result<std::uint64_t> open_fill(store::FillFile& fill, std::optional<std::uint64_t> size = std::nullopt) {
    return wait<std::uint64_t>([&](auto done) { fill.open(size, std::move(done)); });
  }
  base::Result<std::uint64_t> append(store::FillFile& fill, std::string bytes) {
    return wait<std::uint64_t>([&](auto done) { fill.append(shared(std::move(bytes)), std::move(done)); });
  }
  base::Result<std::uint64_t> absorb(store::FillFile& fill, std::uint64_t end) {
    return wait<std::uint64_t>([&](auto done) { fill.absorb(end, std::move(done)); });
  }
  base::Result<bool> verify(store::FillFile& fill) {
    return wait<bool>([&](auto done) { fill.verify(std::move(done)); });
  }
  base::Result<store::OpenBlob> publish(store::FillFile& fill, std::string repository = "docker.io/library/a") {
    return wait<store::OpenBlob>([&](auto done) { fill.publish(std::move(repository), std::move(done)); });
  }
  std::unique_ptr<store::FillFile> begin(const base::Digest& digest) {
    auto fill = store->begin_fill(digest, loop);
    EXPECT_TRUE(fill.ok()) << fill.error().message();
    return fill.ok() ? std::move(fill).value() : nullptr;
  }
  // The whole way: fill, append, verify, publish.
  base::Result<store::OpenBlob> put(const std::string& bytes, std::string repository = "docker.io/library/a") {
    auto fill = begin(base::digest_of(bytes));
    const auto kept = open_fill(*fill, bytes.size());
    if (!kept.ok()) return kept.error();
    if (const auto n = append(*fill, bytes.substr(*kept)); !n.ok()) return n.error();
    const auto right = verify(*fill);
    if (!right.ok()) return right.error();
    if (!*right) return base::Error(base::ErrorKind::corrupt, "not the digest");
    return publish(*fill, std::move(repository));
  }

  [[nodiscard]] std::string blob_path(const base::Digest& digest) const {
    const auto hex = digest.hex();
    return options.path + "/blobs/" + std::string(base::to_string(digest.algorithm())) + "/" + hex.substr(0, 2) + "/" +
           hex;
  }

  TempDir dir;
  FakeClock clock;
  QueueLoop loop;          // also the disk executor
  RecordingEvents events;  // of the real store, unless it was opened otherwise
  store::StoreOptions options;
  std::unique_ptr<store::Store> store;

 private:
  OpenStore open_;
};

// `n` bytes that differ per seed and do not repeat at once.
inline std::string some_bytes(std::size_t n, std::uint64_t seed) {
  std::string bytes(n, '\0');
  std::uint64_t x = seed * 0x9e3779b97f4a7c15ULL + 1;
  for (auto& c : bytes) {
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    c = static_cast<char>(x);
  }
  return bytes;
}

}  // namespace shoal::test
