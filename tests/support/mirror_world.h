// MirrorWorld: a mirror on two fake loops, with a scripted upstream and a store in memory. Everything on one thread:
// what was posted runs in run(), time passes in advance(). Askers sit on the loop that does not own what they ask for,
// so that every answer crosses loops.
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <string>

#include "shoal/mirror/mirror.h"
#include "support/fake_loop.h"
#include "support/fake_registry.h"
#include "support/fake_site.h"
#include "support/memory_store.h"
#include "support/recording_events.h"

namespace shoal::test {

inline const mirror::Target kApp{"docker.io", "library/app"};
inline const mirror::Target kOther{"docker.io", "library/other"};

inline std::string some_bytes(std::size_t size, unsigned seed = 1) {
  std::string bytes(size, '\0');
  std::uint32_t x = seed * 2654435761U + 1;
  for (auto& byte : bytes) {
    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    byte = static_cast<char>(x);
  }
  return bytes;
}

// What a client got of a body so far.
class Body {
 public:
  explicit Body(std::unique_ptr<base::ByteSource> source) : source_(std::move(source)) {}
  // Takes what is there, at most `limit` bytes.
  Body& drain(std::uint64_t limit = UINT64_MAX) {
    while (source_ && !ended && !error && limit > 0) {
      auto piece = source_->pull(std::min<std::uint64_t>(limit, 256 * 1024));
      const auto before = bytes.size();
      if (const auto* file = std::get_if<base::FileSlice>(&piece)) {
        bytes += read_slice(*file);
      } else if (const auto* memory = std::get_if<base::MemorySlice>(&piece)) {
        bytes += memory->bytes;
      } else if (std::holds_alternative<base::SourceEnd>(piece)) {
        ended = true;
      } else if (const auto* failed = std::get_if<base::Error>(&piece)) {
        error = *failed;
      } else {
        break;
      }
      limit -= std::min<std::uint64_t>(limit, bytes.size() - before);
    }
    return *this;
  }
  // From now on takes everything as it comes.
  void follow() {
    drain();
    if (ended || error) return;
    source_->on_ready([this] { follow(); });
  }
  void leave() { source_.reset(); }
  [[nodiscard]] base::ByteSource& source() { return *source_; }

  std::string bytes;
  bool ended = false;
  std::optional<base::Error> error;

 private:
  std::unique_ptr<base::ByteSource> source_;
};

template <class T>
struct Asked {
  std::unique_ptr<mirror::Pending> pending;
  std::optional<mirror::Outcome<T>> outcome;
  int answers = 0;

  [[nodiscard]] bool ok() const { return outcome && std::holds_alternative<T>(*outcome); }
  [[nodiscard]] T& value() { return std::get<T>(*outcome); }
  [[nodiscard]] const mirror::Refusal* refusal() const {
    return outcome ? std::get_if<mirror::Refusal>(&*outcome) : nullptr;
  }
};
template <class T>
using AskedPtr = std::unique_ptr<Asked<T>>;
using AskedBlob = AskedPtr<std::unique_ptr<mirror::Blob>>;

// For sets that own their registries.
inline std::shared_ptr<upstream::Registry> unowned(upstream::Registry& registry) {
  return {std::shared_ptr<void>(), &registry};
}

class MirrorWorld {
 public:
  enum class Neighbours { none, some };
  explicit MirrorWorld(mirror::MirrorOptions options = {}, Neighbours neighbours = Neighbours::none) {
    const bool with = neighbours == Neighbours::some;
    options.retry.base_delay = std::chrono::milliseconds(100);
    mirror = std::make_unique<mirror::Mirror>(
        store, disk, clock, metrics, options,
        std::vector<mirror::Mirror::LoopParts>{{loops[0], sets[0], with ? &sites[0] : nullptr},
                                               {loops[1], sets[1], with ? &sites[1] : nullptr}},
        events);
  }
  ~MirrorWorld() {
    bool stopped = false;
    mirror->stop([&stopped] { stopped = true; });
    run();
    if (!stopped) std::abort();
    mirror.reset();
    run();
  }

  // Everything posted, everywhere, until nothing is.
  void run() {
    for (;;) {
      bool ran = loops[0].run_one();
      ran = loops[1].run_one() || ran;
      ran = disk.run_one() || ran;
      if (!ran) return;
    }
  }
  void advance(std::chrono::milliseconds by) {
    run();
    while (by.count() > 0) {
      const auto step = std::min(by, std::chrono::milliseconds(50));
      loops[0].advance(step);
      loops[1].advance(std::chrono::milliseconds(0));
      run();
      by -= step;
    }
  }

  [[nodiscard]] FakeLoop& asker(const base::Digest& digest) { return loops[1 - digest.hash() % 2]; }
  [[nodiscard]] FakeLoop& asker(const mirror::Target& target) {
    return loops[1 - std::hash<std::string_view>()(target.canonical()) % 2];
  }

  [[nodiscard]] AskedBlob open(const mirror::Target& target, const base::Digest& digest) {
    auto asked = std::make_unique<Asked<std::unique_ptr<mirror::Blob>>>();
    asked->pending = mirror->open_blob(asker(digest), target, digest, taker(*asked));
    return asked;
  }
  // Opened and waited for; null if it was refused.
  [[nodiscard]] std::unique_ptr<mirror::Blob> opened(const mirror::Target& target, const base::Digest& digest) {
    auto asked = open(target, digest);
    run();
    return asked->ok() ? std::move(asked->value()) : nullptr;
  }
  [[nodiscard]] AskedPtr<mirror::BlobStat> stat(const mirror::Target& target, const base::Digest& digest) {
    auto asked = std::make_unique<Asked<mirror::BlobStat>>();
    asked->pending = mirror->stat_blob(asker(digest), target, digest, taker(*asked));
    return asked;
  }
  [[nodiscard]] AskedPtr<mirror::ManifestAnswer> manifest(const mirror::Target& target,
                                                          const registry::Reference& reference) {
    auto asked = std::make_unique<Asked<mirror::ManifestAnswer>>();
    asked->pending = mirror->get_manifest(asker(target), target, reference, taker(*asked));
    return asked;
  }
  [[nodiscard]] AskedPtr<mirror::TagPage> tags(const mirror::Target& target, std::string query = "") {
    auto asked = std::make_unique<Asked<mirror::TagPage>>();
    asked->pending = mirror->list_tags(asker(target), target, std::move(query), taker(*asked));
    return asked;
  }
  [[nodiscard]] AskedPtr<mirror::TagPage> referrers(const mirror::Target& target, const base::Digest& digest) {
    auto asked = std::make_unique<Asked<mirror::TagPage>>();
    asked->pending = mirror->referrers(asker(target), target, digest, "", taker(*asked));
    return asked;
  }

  void link(const mirror::Target& target, const base::Digest& digest, std::optional<std::uint64_t> size, bool proven) {
    store.commit({store::PutLink{target.canonical(), digest, {size, proven}}}, disk, {});
  }
  // The upstream's options, on both loops.
  template <class F>
  void edit(F&& change) {
    for (auto& registry : registries) change(registry.edit_options());
  }
  [[nodiscard]] std::size_t count(FakeUpstream::Op op) const { return upstream.count(op); }
  [[nodiscard]] double metric(const std::string& name, const obs::Labels& labels = {}) {
    return static_cast<double>(metrics.counter(name, "", labels).value());
  }

  // Of upstream, for all fills so far.
  [[nodiscard]] double copies() { return metrics.histogram("shoal_upstream_copies", "", {}).snapshot().sum; }

  FakeClock clock;
  std::array<FakeLoop, 2> loops{FakeLoop(clock, 0), FakeLoop(clock, 1)};
  FakeExecutor disk;
  MemoryStore store{disk, clock};
  obs::Metrics metrics;
  RecordingEvents events;
  FakeUpstream upstream;
  std::array<FakeRegistry, 2> registries{FakeRegistry(loops[0], upstream), FakeRegistry(loops[1], upstream)};
  struct Set final : mirror::UpstreamSet {
    explicit Set(FakeRegistry& r) : registry(r) {}
    std::shared_ptr<upstream::Registry> find(std::string_view name) override {
      return name == "docker.io" ? unowned(registry) : nullptr;
    }
    FakeRegistry& registry;
  };
  std::array<Set, 2> sets{Set(registries[0]), Set(registries[1])};
  std::array<FakeSite, 2> sites{FakeSite(loops[0]), FakeSite(loops[1])};
  // The one that the blob's owner asks.
  [[nodiscard]] FakeSite& site(const base::Digest& digest) { return sites[digest.hash() % 2]; }
  [[nodiscard]] FakeSite& site(const mirror::Target& target) {
    return sites[std::hash<std::string_view>()(target.canonical()) % 2];
  }
  std::unique_ptr<mirror::Mirror> mirror;

 private:
  template <class T>
  static mirror::Mirror::Done<T> taker(Asked<T>& asked) {
    return [&asked](mirror::Outcome<T> outcome) {
      ++asked.answers;
      asked.outcome.emplace(std::move(outcome));
    };
  }
};

inline upstream::Failure failure(upstream::Failure::Kind kind, int status = 0) {
  upstream::Failure made;
  made.kind = kind;
  made.status = status;
  made.message = "docker.io: scripted failure";
  return made;
}

}  // namespace shoal::test
