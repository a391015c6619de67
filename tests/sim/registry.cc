#include "registry.h"

#include <algorithm>

namespace shoal::sim {

using upstream::Failure;

namespace {

constexpr std::size_t kChunk = 32 * 1024;

Failure failure(Failure::Kind kind, std::string message, int status = 0) {
  Failure made;
  made.kind = kind;
  made.status = status;
  made.message = std::string(Upstream::kName) + ": " + std::move(message);
  return made;
}

}  // namespace

Upstream::Upstream(World& world, int nodes) : world_(world), paths_(static_cast<std::size_t>(nodes)) {}

base::Digest Upstream::put_blob(std::string bytes) {
  const auto digest = base::digest_of(bytes);
  blobs_[digest.to_string()] = std::make_shared<const std::string>(std::move(bytes));
  return digest;
}

base::Digest Upstream::put_manifest(const std::string& tag, std::string bytes) {
  const auto digest = base::digest_of(bytes);
  manifests_[tag] = manifests_[digest.to_string()] = std::move(bytes);
  return digest;
}

void Upstream::set_path(int node, Path path) {
  auto& state = paths_[static_cast<std::size_t>(node)];
  if (state.now == path) return;
  state.now = path;
  state.last_bad = world_.now();
}

void Upstream::set_wrong(bool on) {
  wrong_ = on;
  ever_wrong = ever_wrong || on;
  last_wrong_ = world_.now();
}

bool Upstream::sound_since(int node, base::SteadyTime then) const {
  const auto& state = paths_[static_cast<std::size_t>(node)];
  return state.now == Path::open && state.last_bad < then && !wrong_ && cuts_ == 0 && last_wrong_ < then;
}

// One GET of a blob. Shared between the caller's handle and what is to happen.
class BlobAnswer final : public std::enable_shared_from_this<BlobAnswer> {
 public:
  BlobAnswer(Upstream& upstream, int node, std::size_t get, const upstream::UpstreamOptions& options,
             upstream::BlobSink& sink)
      : upstream_(upstream), world_(upstream.world_), node_(node), get_(get), options_(options), sink_(&sink) {}

  void begin(const std::string& digest, std::uint64_t offset) {
    if (upstream_.path(node_) == Upstream::Path::refused) {
      return end_later(upstream_.latency, failure(Failure::Kind::unavailable, "connect: connection refused"));
    }
    arm(options_.first_byte_timeout, "no answer");
    if (upstream_.path(node_) == Upstream::Path::silent) return;
    const auto found = upstream_.blobs_.find(digest);
    if (found == upstream_.blobs_.end()) {
      return end_later(upstream_.latency, failure(Failure::Kind::not_found, "no such blob", 404));
    }
    bytes_ = found->second;
    at_ = std::min<std::uint64_t>(offset, bytes_->size());
    stop_ = bytes_->size();
    if (upstream_.cuts_ > 0 && stop_ - at_ > 1) {
      --upstream_.cuts_;
      upstream_.last_wrong_ = world_.now();
      stop_ = at_ + world_.pick(stop_ - at_ - 1) + 1;
    }
    wrong_at_ = upstream_.wrong_ ? std::optional(at_ + world_.pick(std::max<std::uint64_t>(bytes_->size() - at_, 1)))
                                 : std::nullopt;
    world_.after(upstream_.latency, node_, [self = shared_from_this()] { self->start(); });
  }
  void drop() {
    sink_ = nullptr;
    disarm();
  }
  void resume() {
    paused_ = false;
    arm(options_.stall_timeout, "nothing more comes");
    world_.after(std::chrono::nanoseconds(0), node_, [self = shared_from_this()] { self->next(); });
  }

 private:
  void start() {
    if (sink_ == nullptr) return;
    arm(options_.stall_timeout, "nothing more comes");
    sink_->on_start(at_, bytes_->size());
    next();
  }
  void next() {
    if (sink_ == nullptr || paused_ || sending_) return;
    if (at_ == stop_) {
      if (stop_ == bytes_->size()) return end(std::nullopt);
      return end(failure(Failure::Kind::unavailable, "the connection was cut"));
    }
    const auto size = std::min<std::uint64_t>(kChunk, stop_ - at_);
    upstream_.busy_until_ =
        std::max(upstream_.busy_until_, world_.now()) + std::chrono::nanoseconds(size * 1'000'000'000 / upstream_.rate);
    sending_ = true;
    world_.schedule(upstream_.busy_until_, node_, World::Kind::timer,
                    [self = shared_from_this(), size] { self->bring(size); });
  }
  void bring(std::uint64_t size) {
    sending_ = false;
    if (sink_ == nullptr) return;
    if (upstream_.path(node_) == Upstream::Path::silent) return;  // until the stall is noticed
    if (upstream_.path(node_) == Upstream::Path::refused) {
      return end(failure(Failure::Kind::unavailable, "connection reset by peer"));
    }
    auto chunk = bytes_->substr(at_, size);
    if (wrong_at_ && *wrong_at_ >= at_ && *wrong_at_ < at_ + size) chunk[*wrong_at_ - at_] ^= 0x10;
    at_ += size;
    upstream_.gets[get_].sent += size;
    arm(options_.stall_timeout, "nothing more comes");
    const auto self = shared_from_this();
    paused_ = sink_->on_data(chunk) == fetch::Flow::pause;
    if (sink_ == nullptr) return;
    if (paused_) return disarm();
    next();
  }
  void end_later(std::chrono::milliseconds delay, Failure why) {
    world_.after(delay, node_, [self = shared_from_this(), why = std::move(why)] { self->end(why); });
  }
  void end(std::optional<Failure> why) {
    disarm();
    if (auto* sink = std::exchange(sink_, nullptr)) sink->on_end(std::move(why));
  }
  void arm(std::chrono::milliseconds timeout, const char* what) {
    disarm();
    timeout_ = world_.after(timeout, node_, [self = shared_from_this(), what] {
      self->timeout_.reset();
      self->end(failure(Failure::Kind::timeout, what));
    });
  }
  void disarm() {
    if (timeout_) world_.cancel(*std::exchange(timeout_, std::nullopt));
  }

  Upstream& upstream_;
  World& world_;
  const int node_;
  const std::size_t get_;
  const upstream::UpstreamOptions options_;
  upstream::BlobSink* sink_;
  std::shared_ptr<const std::string> bytes_;
  std::uint64_t at_ = 0, stop_ = 0;
  std::optional<std::uint64_t> wrong_at_;
  std::optional<World::Key> timeout_;
  bool paused_ = false, sending_ = false;
};

namespace {

struct BlobHandle final : upstream::Call::Impl {
  explicit BlobHandle(std::shared_ptr<BlobAnswer> a) : answer(std::move(a)) {}
  ~BlobHandle() override { answer->drop(); }
  void resume() override { answer->resume(); }
  std::shared_ptr<BlobAnswer> answer;
};

struct ReplyHandle final : upstream::Call::Impl {
  explicit ReplyHandle(World& w) : world(w) {}
  ~ReplyHandle() override {
    if (waiting) world.cancel(key);
  }
  World& world;
  World::Key key;
  bool waiting = true;
};

}  // namespace

SimRegistry::SimRegistry(Upstream& upstream, int node) : upstream_(upstream), node_(node) {
  options_.name = Upstream::kName;
  options_.urls = {"http://upstream.invalid"};
  options_.library_prefix = "library/";
}

template <class T>
upstream::Call SimRegistry::reply(upstream::Outcome<T> outcome, Done<T> done) {
  auto delay = 2 * upstream_.latency;
  if (upstream_.path(node_) == Upstream::Path::refused) {
    outcome = failure(Failure::Kind::unavailable, "connect: connection refused");
  } else if (upstream_.path(node_) == Upstream::Path::silent) {
    outcome = failure(Failure::Kind::timeout, "no answer");
    delay = options_.first_byte_timeout;
  }
  auto handle = std::make_unique<ReplyHandle>(upstream_.world_);
  handle->key = upstream_.world_.after(
      delay, node_, [handle = handle.get(), outcome = std::move(outcome), done = std::move(done)]() mutable {
        handle->waiting = false;
        done(std::move(outcome));
      });
  return upstream::Call(std::move(handle));
}

upstream::Call SimRegistry::head_manifest(std::string_view, std::string_view reference,
                                          Done<upstream::ManifestHead> done) {
  ++upstream_.heads;
  upstream::Outcome<upstream::ManifestHead> outcome = failure(Failure::Kind::not_found, "no such manifest", 404);
  if (const auto found = upstream_.manifests_.find(std::string(reference)); found != upstream_.manifests_.end()) {
    upstream::ManifestHead head;
    head.digest = base::digest_of(found->second);
    head.media_type = "application/vnd.oci.image.manifest.v1+json";
    head.size = found->second.size();
    outcome = head;
  }
  return reply<upstream::ManifestHead>(std::move(outcome), std::move(done));
}

upstream::Call SimRegistry::get_manifest(std::string_view, std::string_view reference, Done<upstream::Manifest> done) {
  ++upstream_.manifest_gets;
  upstream::Outcome<upstream::Manifest> outcome = failure(Failure::Kind::not_found, "no such manifest", 404);
  if (const auto found = upstream_.manifests_.find(std::string(reference)); found != upstream_.manifests_.end()) {
    outcome = upstream::Manifest{.digest = base::digest_of(found->second),
                                 .media_type = "application/vnd.oci.image.manifest.v1+json",
                                 .bytes = std::make_shared<const std::string>(found->second),
                                 .warnings = {}};
  }
  return reply<upstream::Manifest>(std::move(outcome), std::move(done));
}

upstream::Call SimRegistry::head_blob(std::string_view, const base::Digest& digest, Done<upstream::BlobHead> done) {
  ++upstream_.heads;
  upstream::Outcome<upstream::BlobHead> outcome = failure(Failure::Kind::not_found, "no such blob", 404);
  const auto found = upstream_.blobs_.find(digest.to_string());
  if (found != upstream_.blobs_.end()) outcome = upstream::BlobHead{.size = found->second->size()};
  return reply<upstream::BlobHead>(std::move(outcome), std::move(done));
}

upstream::Call SimRegistry::get_blob(std::string_view, const base::Digest& digest, std::uint64_t offset,
                                     std::optional<std::uint64_t>, unsigned, upstream::BlobSink& sink) {
  upstream_.gets.push_back({node_, digest.to_string(), offset, 0, upstream_.world_.now()});
  ++upstream_.gets_of_life[node_];
  upstream_.world_.tell("node {} asks upstream for {} from byte {}", node_, digest.to_string().substr(7, 8), offset);
  auto answer = std::make_shared<BlobAnswer>(upstream_, node_, upstream_.gets.size() - 1, options_, sink);
  answer->begin(digest.to_string(), offset);
  return upstream::Call(std::make_unique<BlobHandle>(std::move(answer)));
}

upstream::Call SimRegistry::list_tags(std::string_view, std::string_view, Done<upstream::TagPage> done) {
  return reply<upstream::TagPage>(failure(Failure::Kind::not_found, "none", 404), std::move(done));
}

upstream::Call SimRegistry::referrers(std::string_view, const base::Digest&, std::string_view,
                                      Done<upstream::TagPage> done) {
  return reply<upstream::TagPage>(failure(Failure::Kind::not_found, "none", 404), std::move(done));
}

}  // namespace shoal::sim
