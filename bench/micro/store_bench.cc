// Lookups a warm request makes, in an index of 100,000 tags; and opening that index.
#include <benchmark/benchmark.h>
#include <stdlib.h>

#include <cstdlib>
#include <filesystem>
#include <future>
#include <memory>
#include <string>
#include <vector>

#include "shoal/base/format.h"
#include "shoal/net/event_loop.h"
#include "shoal/store/store.h"

namespace shoal {
namespace {

constexpr int kTags = 100'000;

std::string repository_of(int n) { return fmt::format("docker.io/library/r{}", n % 1000); }

class FilledStore {
 public:
  FilledStore() {
    char path[] = "/tmp/shoal-bench-XXXXXX";
    if (mkdtemp(path) == nullptr) std::abort();
    options_.path = path;
    options_.min_free = 0;
    reopen();
    for (int begin = 0; begin < kTags; begin += 10'000) fill(begin, begin + 10'000);
  }
  ~FilledStore() {
    store_.reset();
    std::filesystem::remove_all(options_.path);
  }

  void reopen() {
    store_.reset();
    auto opened = store::Store::open(options_, pool_, clock_);
    if (!opened) std::abort();
    store_ = std::move(*opened);
  }
  store::Store& store() { return *store_; }

 private:
  void fill(int begin, int end) {
    std::vector<store::Write> writes;
    const base::WallTime now = clock_.wall_now();
    for (int n = begin; n < end; ++n) {
      auto bytes = std::make_shared<const std::string>(fmt::format("{:01500}", n));
      const base::Digest digest = base::digest_of(*bytes);
      writes.push_back(store::PutManifest{repository_of(n), digest, "application/json", bytes, now});
      writes.push_back(store::PutTag{repository_of(n), fmt::format("t{}", n), {digest, now, now}});
    }
    std::promise<void> done;
    store_->commit(std::move(writes), pool_, [&done](base::Result<void>) { done.set_value(); });
    done.get_future().wait();
  }

  store::StoreOptions options_;
  base::SystemClock clock_;
  net::ThreadPool pool_{2};
  std::unique_ptr<store::Store> store_;
};

FilledStore& filled() {
  static FilledStore store;
  return store;
}

void find_tag(benchmark::State& state) {
  store::Store& store = filled().store();
  int n = 0;
  for (auto _ : state) {
    n = (n + 7919) % kTags;
    if (!store.find_tag(repository_of(n), fmt::format("t{}", n))) state.SkipWithError("tag not found");
  }
}
BENCHMARK(find_tag);

void find_manifest(benchmark::State& state) {
  store::Store& store = filled().store();
  std::vector<base::Digest> digests;
  for (int n = 0; n < kTags; n += 97) digests.push_back(base::digest_of(fmt::format("{:01500}", n)));
  std::size_t next = 0;
  for (auto _ : state) {
    if (!store.find_manifest(digests[next++ % digests.size()])) state.SkipWithError("manifest not found");
  }
}
BENCHMARK(find_manifest);

void find_link(benchmark::State& state) {
  store::Store& store = filled().store();
  const base::Digest digest = base::digest_of(fmt::format("{:01500}", 42));
  for (auto _ : state) benchmark::DoNotOptimize(store.find_link(repository_of(42), digest));
}
BENCHMARK(find_link);

void open_filled_store(benchmark::State& state) {
  for (auto _ : state) filled().reopen();
}
BENCHMARK(open_filled_store)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace shoal
