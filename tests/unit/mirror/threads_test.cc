// The same mirror on real event loops and a real pool: for the thread sanitizer.
#include <gtest/gtest.h>

#include <atomic>

#include "shoal/mirror/mirror.h"
#include "shoal/net/event_loop.h"
#include "support/loop_thread.h"
#include "support/mirror_world.h"

namespace shoal::test {
namespace {

struct RealSet final : mirror::UpstreamSet {
  RealSet(base::Loop& loop, FakeUpstream& upstream) : registry(loop, upstream) {}
  std::shared_ptr<upstream::Registry> find(std::string_view) override { return unowned(registry); }
  FakeRegistry registry;
};

TEST(Threads, ReadersOnEveryLoopGetSoundBytes) {
  constexpr std::size_t kReaders = 24;
  base::SystemClock clock;
  auto pool_owner = std::make_unique<net::ThreadPool>(3);
  auto& pool = *pool_owner;
  obs::Metrics metrics;
  FakeUpstream upstream;
  auto bytes = some_bytes(3 << 20);
  const auto digest = upstream.put_blob("library/app", bytes);
  const auto large = some_bytes(2 << 20, 5);
  const auto passed = upstream.put_blob("library/app", large);
  upstream.script_blob({.cut_after = 1 << 20, .failure = failure(upstream::Failure::Kind::unavailable)});
  MemoryStore store(pool, clock);
  store.admit_up_to(bytes.size());
  store.fill_up_at(std::nullopt);
  LoopThread a(0), b(1);
  RealSet set_a(a.loop(), upstream), set_b(b.loop(), upstream);
  mirror::MirrorOptions options;
  options.retry.base_delay = std::chrono::milliseconds(1);
  mirror::Mirror mirror(store, pool, clock, metrics, options, {{a.loop(), set_a}, {b.loop(), set_b}});

  struct Client {
    std::unique_ptr<mirror::Pending> pending;
    std::unique_ptr<Body> body;
    std::function<void()> pump;
  };
  std::vector<Client> clients(kReaders);
  std::atomic<std::size_t> left{kReaders};
  std::atomic<std::size_t> sound{0};
  std::promise<void> all;
  const mirror::Target target{"docker.io", "library/app"};
  for (std::size_t i = 0; i < kReaders; ++i) {
    auto& loop = i % 2 == 0 ? a.loop() : b.loop();
    loop.post([&, i, &loop = loop] {
      auto& client = clients[i];
      const auto& expected = i % 3 == 0 ? large : bytes;
      client.pending = mirror.open_blob(loop, target, i % 3 == 0 ? passed : digest,
                                        [&](mirror::Outcome<std::unique_ptr<mirror::Blob>> outcome) {
                                          auto* blob = std::get_if<std::unique_ptr<mirror::Blob>>(&outcome);
                                          const auto done = [&] {
                                            if (left.fetch_sub(1) == 1) all.set_value();
                                          };
                                          if (blob == nullptr) return done();
                                          client.body = std::make_unique<Body>((*blob)->read_all());
                                          client.pump = [&, done] {
                                            client.body->drain();
                                            if (!client.body->ended && !client.body->error) {
                                              return client.body->source().on_ready([&client] { client.pump(); });
                                            }
                                            if (client.body->ended && client.body->bytes == expected)
                                              sound.fetch_add(1);
                                            client.body->leave();
                                            done();
                                          };
                                          client.pump();
                                        });
    });
  }
  all.get_future().wait();
  EXPECT_EQ(sound.load(), kReaders);
  std::promise<void> stopped;
  mirror.stop([&stopped] { stopped.set_value(); });
  stopped.get_future().wait();
  a.run([&] {
    for (std::size_t i = 0; i < kReaders; i += 2) clients[i] = {};
  });
  b.run([&] {
    for (std::size_t i = 1; i < kReaders; i += 2) clients[i] = {};
  });
  pool_owner.reset();
  a.loop().stop();
  b.loop().stop();
}

}  // namespace
}  // namespace shoal::test
