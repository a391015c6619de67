// The admin handlers over a real store in a temporary directory; pool and loop are turned by hand.
#pragma once

#include <gtest/gtest.h>

#include <future>
#include <nlohmann/json.hpp>
#include <thread>

#include "shoal/admin/admin.h"
#include "shoal/net/event_loop.h"
#include "support/fake_loop.h"
#include "support/memory_store.h"
#include "support/open_store.h"
#include "support/recording_events.h"

namespace shoal::admin {

using nlohmann::json;

inline constexpr const char* kImage = "application/vnd.oci.image.manifest.v1+json";
inline constexpr const char* kIndex = "application/vnd.oci.image.index.v1+json";

class FakeNode final : public NodeView {
 public:
  std::string version() const override { return "1.2.3"; }
  base::WallTime started() const override { return base::WallTime(std::chrono::seconds(1'800'000'000)); }
  bool draining() const override { return is_draining; }
  std::string stuck_loop() const override { return stuck; }
  std::vector<std::string> addresses() const override { return {"127.0.0.1:5000"}; }
  std::size_t connections() const override { return 3; }
  std::string url() const override { return "http://127.0.0.1:5000"; }
  std::optional<p2p::SiteStatus> site() const override { return site_status; }
  void swarms(base::UniqueFunction<void(std::vector<p2p::SwarmStatus>)> done) const override { done(swarm_status); }
  std::vector<std::shared_ptr<upstream::UpstreamState>> upstreams() const override { return states; }
  std::string config_text() const override { return "server:\n  loops: 0\n"; }
  void reload(base::UniqueFunction<void(ReloadReport)> done) override { done(report); }
  void collect_garbage(GcRequest request, base::UniqueFunction<void(base::Result<GcOutcome>)> done) override {
    gc = request;
    done(gc_answer);
  }

  void foresee_garbage(std::string repository, store::Supposed gone, bool untagged,
                       base::UniqueFunction<void(base::Result<GcForecast>)> done) override {
    foreseen = {std::move(repository), std::move(gone), untagged};
    done(forecast);
  }
  store::ScrubReport scrub(std::uint64_t bytes, ScrubFrom from) override {
    scrubbed.emplace_back(bytes, from);
    return {.whole = true};
  }
  std::uint64_t scrub_rate() const override { return 10; }

  struct Foreseen {
    std::string repository;
    store::Supposed gone;
    bool untagged = false;
  };
  Foreseen foreseen;
  base::Result<GcForecast> forecast = GcForecast{};
  std::vector<std::pair<std::uint64_t, ScrubFrom>> scrubbed;
  bool is_draining = false;
  std::optional<p2p::SiteStatus> site_status;
  std::vector<p2p::SwarmStatus> swarm_status;
  std::string stuck;
  ReloadReport report;
  std::optional<GcRequest> gc;
  base::Result<GcOutcome> gc_answer = GcOutcome{{7, 8, 1, {"team/app:old"}}, {1, 2, 3, 4, 5, 6}};
  std::vector<std::shared_ptr<upstream::UpstreamState>> states;
};

// Catches one answer.
class Catcher final : public http::Responder::Target {
 public:
  void respond(std::uint64_t, http::Response response) override { answer.emplace(std::move(response)); }
  std::optional<http::Response> answer;
};

class Handlers : public ::testing::Test {
 protected:
  Handlers() {
    store_ = test::open_store(dir_, disk_, clock_);
    handler_ = std::make_unique<AdminHandler>(parts(), std::vector<std::string>{});
  }
  Parts parts() { return {loop_, pool_, *store_, metrics_, node_, &events_}; }

  void commit(std::vector<store::Write> writes) {
    std::promise<bool> done;
    auto result = done.get_future();
    store_->commit(std::move(writes), disk_, [&done](base::Result<void> r) { done.set_value(r.ok()); });
    ASSERT_TRUE(result.get());
  }

  // As a client's push does it.
  base::Digest push(const std::string& repository, const std::string& type, const std::string& bytes,
                    std::vector<std::string> tags) {
    store::ManifestPush push{.repository = repository,
                             .digest = base::digest_of(bytes),
                             .media_type = type,
                             .bytes = std::make_shared<const std::string>(bytes),
                             .tags = std::move(tags),
                             .needed = {},
                             .subject = {},
                             .descriptor = {},
                             .fixed_tags = {}};
    std::promise<bool> done;
    auto result = done.get_future();
    const auto digest = push.digest;
    store_->hosted().put_manifest(std::move(push), disk_, [&done](base::Result<void> r) { done.set_value(r.ok()); });
    EXPECT_TRUE(result.get());
    return digest;
  }

  // The image docker.io/library/nginx:1, mirrored, and team/app:1, pushed, are the same.
  void put_mirrored_and_hosted(test::MemoryStore& memory, const std::string& image) {
    const auto digest = base::digest_of(image);
    const auto bytes = std::make_shared<const std::string>(image);
    memory.commit({store::PutManifest{"docker.io/library/nginx", digest, kImage, bytes, {}},
                   store::PutTag{"docker.io/library/nginx", "1", {digest, {}, {}}}},
                  pool_, nullptr);
    memory.hosted().put_manifest({.repository = "team/app",
                                  .digest = digest,
                                  .media_type = kImage,
                                  .bytes = bytes,
                                  .tags = {"1"},
                                  .needed = {},
                                  .subject = {},
                                  .descriptor = {},
                                  .fixed_tags = {}},
                                 pool_, nullptr);
  }

  // Runs pool and loop until the answer is there; the store's own threads may have a part in it.
  http::Response ask(http::Handler& handler, http::Method method, std::string target, bool header = true) {
    http::Request request;
    request.method = method;
    request.target = std::move(target);
    request.host = "127.0.0.1:5001";
    if (header) request.headers.add("X-Shoal", "1");
    const auto catcher = std::make_shared<Catcher>();
    const auto operation = handler.handle(request, http::Responder(catcher, 1));
    for (int i = 0; i < 200'000 && !catcher->answer; ++i) {
      pool_.run_all();
      loop_.post_here();
      std::this_thread::yield();
    }
    if (!catcher->answer) throw std::runtime_error("no answer");
    return std::move(*catcher->answer);
  }
  http::Response get(std::string target) { return ask(*handler_, http::Method::get, std::move(target)); }
  json get_json(std::string target) {
    auto response = get(std::move(target));
    EXPECT_EQ(response.status, 200) << response.text;
    return json::parse(response.text);
  }

  // A loop whose posts may come from the store's writer thread.
  class SharedLoop final : public base::Loop {
   public:
    void post(base::UniqueFunction<void()> work) override {
      const std::lock_guard lock(mutex_);
      queue_.push_back(std::move(work));
    }
    void post_here() {
      for (;;) {
        base::UniqueFunction<void()> work;
        {
          const std::lock_guard lock(mutex_);
          if (queue_.empty()) return;
          work = std::move(queue_.front());
          queue_.pop_front();
        }
        work();
      }
    }
    base::Timer schedule(std::chrono::milliseconds, base::UniqueFunction<void()>) override { return {}; }
    bool in_loop() const override { return true; }
    base::SteadyTime now() const override { return {}; }
    unsigned index() const override { return 0; }

   private:
    std::mutex mutex_;
    std::deque<base::UniqueFunction<void()>> queue_;
  };

  test::TempDir dir_;
  test::FakeClock clock_;
  net::ThreadPool disk_{2};
  test::FakeExecutor pool_;
  SharedLoop loop_;
  obs::Metrics metrics_;
  FakeNode node_;
  test::RecordingEvents events_;
  std::unique_ptr<store::Store> store_;
  std::unique_ptr<AdminHandler> handler_;
};

}  // namespace shoal::admin
