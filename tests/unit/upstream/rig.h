// UpstreamRig: a real Registry over a real Client on one or two loops, against ScriptedServers.
#pragma once

#include <condition_variable>
#include <future>
#include <memory>
#include <mutex>
#include <vector>

#include "shoal/upstream/state.h"
#include "shoal/upstream/upstream.h"
#include "support/loop_thread.h"
#include "support/scripted_server.h"

namespace shoal::test {

struct BlobResult : upstream::BlobSink {
  void on_start(std::uint64_t at, std::optional<std::uint64_t> t) override {
    ++starts;
    offset = at;
    total = t;
    if (at_start) at_start();
  }
  fetch::Flow on_data(std::string_view bytes) override {
    {
      const std::lock_guard lock(mutex);
      body.append(bytes);
      changed.notify_all();  // locked: the waiter may destroy us
    }
    return at_data ? at_data() : fetch::Flow::go_on;
  }
  void on_end(std::optional<upstream::Failure> f) override {
    {
      const std::lock_guard lock(mutex);
      failure = std::move(f);
      ++ends;
      changed.notify_all();  // locked: the waiter may destroy us
    }
  }
  bool wait() {
    std::unique_lock lock(mutex);
    return changed.wait_for(lock, std::chrono::seconds(10), [this] { return ends > 0; });
  }
  bool wait_for_bytes(std::size_t n) {
    std::unique_lock lock(mutex);
    return changed.wait_for(lock, std::chrono::seconds(10), [&] { return body.size() >= n; });
  }
  std::mutex mutex;
  std::condition_variable changed;
  int starts = 0, ends = 0;
  std::uint64_t offset = 0;
  std::optional<std::uint64_t> total;
  std::string body;
  std::optional<upstream::Failure> failure;
  std::function<void()> at_start;
  std::function<fetch::Flow()> at_data;
};

class UpstreamRig {
 public:
  explicit UpstreamRig(upstream::UpstreamOptions options, unsigned loops = 1) {
    state = upstream::make_state(std::move(options), clock_);
    for (unsigned i = 0; i < loops; ++i) {
      sides_.push_back(std::make_unique<Side>(i));
      Side& side = *sides_.back();
      side.thread.run(
          [&] { side.client = std::make_unique<fetch::Client>(side.thread.loop(), fetch::ClientOptions{}); });
    }
    Side& home = *sides_[0];
    for (auto& side : sides_) {
      side->thread.run([&] {
        side->registry =
            upstream::make_registry(state, side->thread.loop(), *side->client, home.thread.loop(), *home.client);
      });
    }
  }
  ~UpstreamRig() {
    for (auto& side : sides_) {
      side->thread.run([&] {
        side->calls.clear();
        side->registry.reset();
      });
    }
    for (auto& side : sides_) side->thread.run([&] { side->client.reset(); });
  }

  // Runs `ask(registry, done)` on a loop and waits for its outcome.
  template <class T, class Ask>
  upstream::Outcome<T> outcome(Ask ask, unsigned loop = 0) {
    std::promise<upstream::Outcome<T>> promise;
    upstream::Call call;
    Side& side = *sides_[loop];
    side.thread.run([&] {
      call = ask(*side.registry, [&](upstream::Outcome<T> result) { promise.set_value(std::move(result)); });
    });
    auto future = promise.get_future();
    if (future.wait_for(std::chrono::seconds(15)) != std::future_status::ready) std::abort();
    auto result = future.get();
    side.thread.run([&] { call.cancel(); });
    return result;
  }
  upstream::Outcome<upstream::Manifest> manifest(std::string repository, std::string reference, unsigned loop = 0) {
    return outcome<upstream::Manifest>(
        [=](auto& r, auto done) { return r.get_manifest(repository, reference, std::move(done)); }, loop);
  }
  upstream::Outcome<upstream::ManifestHead> head(std::string repository, std::string reference) {
    return outcome<upstream::ManifestHead>(
        [=](auto& r, auto done) { return r.head_manifest(repository, reference, std::move(done)); });
  }
  upstream::Outcome<upstream::BlobHead> blob_head(std::string repository, base::Digest digest) {
    return outcome<upstream::BlobHead>(
        [=](auto& r, auto done) { return r.head_blob(repository, digest, std::move(done)); });
  }
  upstream::Outcome<upstream::TagPage> tags(std::string repository, std::string query) {
    return outcome<upstream::TagPage>(
        [=](auto& r, auto done) { return r.list_tags(repository, query, std::move(done)); });
  }
  upstream::Call& start_blob(const base::Digest& digest, BlobResult& sink, std::uint64_t offset = 0,
                             std::optional<std::uint64_t> size = std::nullopt, unsigned source = 0, unsigned loop = 0) {
    Side& side = *sides_[loop];
    upstream::Call* call = nullptr;
    side.thread.run([&] {
      side.calls.push_back(std::make_unique<upstream::Call>());
      call = side.calls.back().get();
      *call = side.registry->get_blob("a/b", digest, offset, size, source, sink);
    });
    return *call;
  }
  // Blob bytes from `offset`; waits for the end.
  std::unique_ptr<BlobResult> blob(const base::Digest& digest, std::uint64_t offset = 0,
                                   std::optional<std::uint64_t> size = std::nullopt, unsigned source = 0) {
    auto sink = std::make_unique<BlobResult>();
    start_blob(digest, *sink, offset, size, source);
    if (!sink->wait()) std::abort();
    return sink;
  }
  LoopThread& thread(unsigned loop = 0) { return sides_[loop]->thread; }
  upstream::Registry& registry(unsigned loop = 0) { return *sides_[loop]->registry; }

  std::shared_ptr<upstream::UpstreamState> state;

 private:
  struct Side {
    explicit Side(unsigned i) : thread(i) {}
    LoopThread thread;
    std::unique_ptr<fetch::Client> client;
    std::unique_ptr<upstream::Registry> registry;
    std::vector<std::unique_ptr<upstream::Call>> calls;
  };
  base::SystemClock clock_;
  std::vector<std::unique_ptr<Side>> sides_;
};

inline upstream::UpstreamOptions options_for(std::vector<std::string> urls) {
  upstream::UpstreamOptions options;
  options.name = "reg.lan";
  options.urls = std::move(urls);
  return options;
}

inline const std::string kManifest =
    R"({"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","size":2},"layers":[]})";
inline constexpr const char* kManifestType = "Content-Type: application/vnd.oci.image.manifest.v1+json\r\n";

template <class T>
const upstream::Failure& failure_of(const upstream::Outcome<T>& outcome) {
  static const upstream::Failure kNone{};
  const auto* failure = std::get_if<upstream::Failure>(&outcome);
  return failure != nullptr ? *failure : kNone;
}
template <class T>
bool ok(const upstream::Outcome<T>& outcome) {
  return std::holds_alternative<T>(outcome);
}

}  // namespace shoal::test
