#include "support/fake_registry.h"

#include <algorithm>

namespace shoal::test {

using upstream::Failure;

// --- FakeBlobCall -----------------------------------------------------------------------------------------------

FakeBlobCall::FakeBlobCall(base::Loop& loop, std::string repo, base::Digest d, std::uint64_t from,
                           std::optional<std::uint64_t> expected, unsigned from_source, upstream::BlobSink& sink)
    : repository(std::move(repo)),
      digest(d),
      offset(from),
      expected_size(expected),
      source(from_source),
      loop_(loop),
      sink_(&sink) {}

void FakeBlobCall::start(std::uint64_t at, std::optional<std::uint64_t> total) {
  add({.kind = Step::Kind::start, .at = at, .total = total, .bytes = {}, .failure = {}});
}
void FakeBlobCall::data(std::string bytes) {
  add({.kind = Step::Kind::data, .at = 0, .total = {}, .bytes = std::move(bytes), .failure = {}});
}
void FakeBlobCall::end(std::optional<Failure> failure) {
  add({.kind = Step::Kind::end, .at = 0, .total = {}, .bytes = {}, .failure = std::move(failure)});
}

void FakeBlobCall::add(Step step) {
  const std::lock_guard lock(mutex_);
  steps_.push_back(std::move(step));
  if (scheduled_) return;
  scheduled_ = true;
  loop_.post([self = shared_from_this()] { self->run(); });
}

void FakeBlobCall::run() {
  for (;;) {
    Step step{};
    upstream::BlobSink* sink = nullptr;
    {
      const std::lock_guard lock(mutex_);
      scheduled_ = false;
      if (steps_.empty() || sink_ == nullptr) return;
      if (paused_ && steps_.front().kind != Step::Kind::end) return;
      scheduled_ = true;  // add() in a callback need not post again
      sink = sink_;
      step = std::move(steps_.front());
      steps_.pop_front();
      if (step.kind == Step::Kind::end) {
        ended_ = true;
        sink_ = nullptr;
        scheduled_ = false;
      }
    }
    switch (step.kind) {
      case Step::Kind::start: sink->on_start(step.at, step.total); break;
      case Step::Kind::data: {
        const bool pause = sink->on_data(step.bytes) == fetch::Flow::pause;
        const std::lock_guard lock(mutex_);
        delivered_ += step.bytes.size();
        paused_ = pause;
        break;
      }
      case Step::Kind::end: sink->on_end(std::move(step.failure)); return;
    }
  }
}

void FakeBlobCall::resume() {
  const std::lock_guard lock(mutex_);
  paused_ = false;
  if (scheduled_ || steps_.empty()) return;
  scheduled_ = true;
  loop_.post([self = shared_from_this()] { self->run(); });
}

void FakeBlobCall::drop() {
  const std::lock_guard lock(mutex_);
  dropped_ = !ended_;
  sink_ = nullptr;
}

bool FakeBlobCall::dropped() const {
  const std::lock_guard lock(mutex_);
  return dropped_;
}
bool FakeBlobCall::paused() const {
  const std::lock_guard lock(mutex_);
  return paused_;
}
bool FakeBlobCall::ended() const {
  const std::lock_guard lock(mutex_);
  return ended_;
}
std::uint64_t FakeBlobCall::delivered() const {
  const std::lock_guard lock(mutex_);
  return delivered_;
}

// --- FakeUpstream -----------------------------------------------------------------------------------------------

base::Digest FakeUpstream::put_manifest(const std::string& repository, const std::string& tag, std::string bytes,
                                        std::string media_type) {
  const auto digest = base::digest_of(bytes);
  const std::lock_guard lock(mutex_);
  if (!tag.empty()) manifests_[{repository, tag}] = {bytes, media_type};
  manifests_[{repository, digest.to_string()}] = {std::move(bytes), std::move(media_type)};
  return digest;
}

base::Digest FakeUpstream::put_blob(const std::string& repository, std::string bytes) {
  const auto digest = base::digest_of(bytes);
  put_blob_as(repository, digest, std::move(bytes));
  return digest;
}

void FakeUpstream::put_blob_as(const std::string& repository, const base::Digest& digest, std::string bytes) {
  const std::lock_guard lock(mutex_);
  blobs_[{repository, digest.to_string()}] = std::make_shared<const std::string>(std::move(bytes));
}

void FakeUpstream::put_tags(const std::string& repository, upstream::TagPage page) {
  const std::lock_guard lock(mutex_);
  tags_[repository] = std::move(page);
}

void FakeUpstream::put_referrers(const std::string& repository, const base::Digest& subject, upstream::TagPage page) {
  const std::lock_guard lock(mutex_);
  referrers_[{repository, subject.to_string()}] = std::move(page);
}

void FakeUpstream::remove_manifest(const std::string& repository, const std::string& reference) {
  const std::lock_guard lock(mutex_);
  manifests_.erase({repository, reference});
}

void FakeUpstream::remove_blob(const std::string& repository, const base::Digest& digest) {
  const std::lock_guard lock(mutex_);
  blobs_.erase({repository, digest.to_string()});
}

void FakeUpstream::fail_next(Op op, Failure failure) {
  const std::lock_guard lock(mutex_);
  fail_next_[op].push_back(std::move(failure));
}

void FakeUpstream::fail_always(Op op, std::optional<Failure> failure) {
  const std::lock_guard lock(mutex_);
  fail_always_.erase(op);
  if (failure) fail_always_.emplace(op, std::move(*failure));
}

void FakeUpstream::fail_everything(std::optional<Failure> failure) {
  for (std::size_t i = 0; i < kOps; ++i) fail_always(static_cast<Op>(i), failure);
}

void FakeUpstream::script_blob(BlobScript script) {
  const std::lock_guard lock(mutex_);
  blob_scripts_.push_back(std::move(script));
}
void FakeUpstream::manual_blobs(bool on) {
  const std::lock_guard lock(mutex_);
  manual_ = on;
}
void FakeUpstream::hold(bool on) {
  {
    const std::lock_guard lock(mutex_);
    hold_ = on;
  }
  if (!on) release();
}
void FakeUpstream::release() {
  std::deque<Held> held;
  {
    const std::lock_guard lock(mutex_);
    held.swap(held_);
  }
  for (auto& h : held) h.loop->post(std::move(h.run));
}
void FakeUpstream::refuse_head(bool on) {
  const std::lock_guard lock(mutex_);
  refuse_head_ = on;
}
void FakeUpstream::hide_digest(bool on) {
  const std::lock_guard lock(mutex_);
  hide_digest_ = on;
}
void FakeUpstream::set_chunk_bytes(std::size_t n) {
  const std::lock_guard lock(mutex_);
  chunk_bytes_ = std::max<std::size_t>(n, 1);
}
void FakeUpstream::set_health(upstream::Health health) {
  const std::lock_guard lock(mutex_);
  health_ = std::move(health);
}

std::size_t FakeUpstream::count(Op op) const {
  const std::lock_guard lock(mutex_);
  return counts_[static_cast<std::size_t>(op)];
}
std::size_t FakeUpstream::waiting() const {
  const std::lock_guard lock(mutex_);
  return held_.size();
}
std::shared_ptr<FakeBlobCall> FakeUpstream::blob_call(std::size_t i) const {
  const std::lock_guard lock(mutex_);
  return i < blob_calls_.size() ? blob_calls_[i] : nullptr;
}
std::size_t FakeUpstream::blob_calls() const {
  const std::lock_guard lock(mutex_);
  return blob_calls_.size();
}
std::vector<std::string> FakeUpstream::corrupt_reports() const {
  const std::lock_guard lock(mutex_);
  return corrupt_;
}
std::vector<std::string> FakeUpstream::log() const {
  const std::lock_guard lock(mutex_);
  return log_;
}

std::optional<Failure> FakeUpstream::note(Op op, std::string what) {
  static constexpr const char* kNames[kOps] = {"head_manifest", "get_manifest", "head_blob",
                                               "get_blob",      "list_tags",    "referrers"};
  const std::lock_guard lock(mutex_);
  ++counts_[static_cast<std::size_t>(op)];
  log_.push_back(std::string(kNames[static_cast<std::size_t>(op)]) + " " + what);
  if (auto next = fail_next_.find(op); next != fail_next_.end() && !next->second.empty()) {
    Failure failure = std::move(next->second.front());
    next->second.pop_front();
    return failure;
  }
  if (auto always = fail_always_.find(op); always != fail_always_.end()) return always->second;
  return std::nullopt;
}

void FakeUpstream::answer(base::Loop& loop, base::UniqueFunction<void()> run) {
  {
    const std::lock_guard lock(mutex_);
    if (hold_) {
      held_.push_back({&loop, std::move(run)});
      return;
    }
  }
  loop.post(std::move(run));
}

Failure FakeUpstream::not_found(const std::string& what) {
  Failure failure;
  failure.kind = Failure::Kind::not_found;
  failure.status = 404;
  failure.message = "fake: not found: " + what;
  return failure;
}

// --- FakeRegistry -----------------------------------------------------------------------------------------------

namespace {

struct ReplyHandle final : upstream::Call::Impl {
  explicit ReplyHandle(std::shared_ptr<bool> f) : dropped(std::move(f)) {}
  ~ReplyHandle() override { *dropped = true; }
  std::shared_ptr<bool> dropped;  // shared with the posted answer
};

}  // namespace

FakeRegistry::FakeRegistry(base::Loop& loop, FakeUpstream& upstream, upstream::UpstreamOptions options)
    : loop_(loop), upstream_(upstream), options_(std::move(options)) {}

upstream::UpstreamOptions FakeRegistry::default_options() {
  upstream::UpstreamOptions options;
  options.name = "docker.io";
  options.urls = {"http://fake.invalid"};
  options.library_prefix = "library/";
  return options;
}

upstream::Health FakeRegistry::health() const {
  const std::lock_guard lock(upstream_.mutex_);
  return upstream_.health_;
}

template <class T>
upstream::Call FakeRegistry::reply(upstream::Outcome<T> outcome, Done<T> done) {
  auto dropped = std::make_shared<bool>(false);
  upstream_.answer(loop_, [dropped, outcome = std::move(outcome), done = std::move(done)]() mutable {
    if (!*dropped) done(std::move(outcome));
  });
  return upstream::Call(std::make_unique<ReplyHandle>(dropped));
}

upstream::Call FakeRegistry::head_manifest(std::string_view repository, std::string_view reference,
                                           Done<upstream::ManifestHead> done) {
  const std::string what = std::string(repository) + ":" + std::string(reference);
  if (auto failure = upstream_.note(FakeUpstream::Op::head_manifest, what)) {
    return reply<upstream::ManifestHead>(std::move(*failure), std::move(done));
  }
  upstream::Outcome<upstream::ManifestHead> outcome = FakeUpstream::not_found(what);
  {
    const std::lock_guard lock(upstream_.mutex_);
    const auto found = upstream_.manifests_.find({std::string(repository), std::string(reference)});
    if (upstream_.refuse_head_) {
      upstream::ManifestHead head;
      head.head_refused = true;
      outcome = head;
    } else if (found != upstream_.manifests_.end()) {
      upstream::ManifestHead head;
      if (!upstream_.hide_digest_) head.digest = base::digest_of(found->second.bytes);
      head.media_type = found->second.media_type;
      head.size = found->second.bytes.size();
      outcome = head;
    }
  }
  return reply<upstream::ManifestHead>(std::move(outcome), std::move(done));
}

upstream::Call FakeRegistry::get_manifest(std::string_view repository, std::string_view reference,
                                          Done<upstream::Manifest> done) {
  const std::string what = std::string(repository) + ":" + std::string(reference);
  if (auto failure = upstream_.note(FakeUpstream::Op::get_manifest, what)) {
    return reply<upstream::Manifest>(std::move(*failure), std::move(done));
  }
  upstream::Outcome<upstream::Manifest> outcome = FakeUpstream::not_found(what);
  {
    const std::lock_guard lock(upstream_.mutex_);
    const auto found = upstream_.manifests_.find({std::string(repository), std::string(reference)});
    if (found != upstream_.manifests_.end()) {
      outcome = upstream::Manifest{.digest = base::digest_of(found->second.bytes),
                                   .media_type = found->second.media_type,
                                   .bytes = std::make_shared<const std::string>(found->second.bytes),
                                   .warnings = {}};
      if (found->second.bytes.size() > upstream::kReadOnLoop) {  // as the real one does
        auto& manifest = std::get<upstream::Manifest>(outcome);
        manifest.unread = upstream::Manifest::Unread{"docker.io", std::exchange(manifest.media_type, {}),
                                                     !reference.starts_with("sha")};
      }
    }
  }
  return reply<upstream::Manifest>(std::move(outcome), std::move(done));
}

upstream::Call FakeRegistry::head_blob(std::string_view repository, const base::Digest& digest,
                                       Done<upstream::BlobHead> done) {
  const std::string what = std::string(repository) + "@" + digest.to_string();
  if (auto failure = upstream_.note(FakeUpstream::Op::head_blob, what)) {
    return reply<upstream::BlobHead>(std::move(*failure), std::move(done));
  }
  upstream::Outcome<upstream::BlobHead> outcome = FakeUpstream::not_found(what);
  {
    const std::lock_guard lock(upstream_.mutex_);
    const auto found = upstream_.blobs_.find({std::string(repository), digest.to_string()});
    if (found != upstream_.blobs_.end()) outcome = upstream::BlobHead{.size = found->second->size()};
  }
  return reply<upstream::BlobHead>(std::move(outcome), std::move(done));
}

upstream::Call FakeRegistry::blob_handle(std::shared_ptr<FakeBlobCall> call) {
  struct Handle final : upstream::Call::Impl {
    explicit Handle(std::shared_ptr<FakeBlobCall> c) : blob(std::move(c)) {}
    ~Handle() override { blob->drop(); }
    void resume() override { blob->resume(); }
    std::shared_ptr<FakeBlobCall> blob;  // shared with the test
  };
  return upstream::Call(std::make_unique<Handle>(std::move(call)));
}

upstream::Call FakeRegistry::get_blob(std::string_view repository, const base::Digest& digest, std::uint64_t offset,
                                      std::optional<std::uint64_t> expected_size, unsigned source,
                                      upstream::BlobSink& sink) {
  const std::string what = std::string(repository) + "@" + digest.to_string();
  auto failure = upstream_.note(FakeUpstream::Op::get_blob, what);
  auto call =
      std::make_shared<FakeBlobCall>(loop_, std::string(repository), digest, offset, expected_size, source, sink);
  FakeUpstream::BlobScript script;
  std::shared_ptr<const std::string> content;
  std::size_t chunk = 0;
  {
    const std::lock_guard lock(upstream_.mutex_);
    upstream_.blob_calls_.push_back(call);
    if (upstream_.manual_ && !failure) return blob_handle(call);
    chunk = upstream_.chunk_bytes_;
    const auto found = upstream_.blobs_.find({std::string(repository), digest.to_string()});
    if (found != upstream_.blobs_.end()) content = found->second;
    if (!failure && content && !upstream_.blob_scripts_.empty()) {
      script = std::move(upstream_.blob_scripts_.front());
      upstream_.blob_scripts_.pop_front();
    }
  }
  upstream_.answer(loop_, [call, failure = std::move(failure), content, script, offset, chunk, what]() mutable {
    if (failure) return call->end(std::move(failure));
    if (!content) return call->end(FakeUpstream::not_found(what));
    std::string bytes = *content;
    if (script.flip_byte && *script.flip_byte < bytes.size()) bytes[*script.flip_byte] ^= 1;
    std::uint64_t at = script.ignore_range ? 0 : std::min<std::uint64_t>(offset, bytes.size());
    std::optional<std::uint64_t> total = script.claim_total ? *script.claim_total : bytes.size();
    call->start(at, script.hide_total ? std::nullopt : total);
    const std::uint64_t stop =
        script.cut_after ? std::min<std::uint64_t>(bytes.size(), at + *script.cut_after) : bytes.size();
    for (; at < stop; at += chunk) call->data(bytes.substr(at, std::min<std::uint64_t>(chunk, stop - at)));
    if (!script.hang) call->end(std::move(script.failure));
  });
  return blob_handle(call);
}

upstream::Call FakeRegistry::list_tags(std::string_view repository, std::string_view query,
                                       Done<upstream::TagPage> done) {
  const std::string what = std::string(repository) + "?" + std::string(query);
  if (auto failure = upstream_.note(FakeUpstream::Op::list_tags, what)) {
    return reply<upstream::TagPage>(std::move(*failure), std::move(done));
  }
  upstream::Outcome<upstream::TagPage> outcome = FakeUpstream::not_found(what);
  {
    const std::lock_guard lock(upstream_.mutex_);
    if (auto found = upstream_.tags_.find(std::string(repository)); found != upstream_.tags_.end()) {
      outcome = found->second;
    }
  }
  return reply<upstream::TagPage>(std::move(outcome), std::move(done));
}

upstream::Call FakeRegistry::referrers(std::string_view repository, const base::Digest& digest, std::string_view query,
                                       Done<upstream::TagPage> done) {
  const std::string what = std::string(repository) + "@" + digest.to_string() + "?" + std::string(query);
  if (auto failure = upstream_.note(FakeUpstream::Op::referrers, what)) {
    return reply<upstream::TagPage>(std::move(*failure), std::move(done));
  }
  upstream::Outcome<upstream::TagPage> outcome = FakeUpstream::not_found(what);
  {
    const std::lock_guard lock(upstream_.mutex_);
    const auto found = upstream_.referrers_.find({std::string(repository), digest.to_string()});
    if (found != upstream_.referrers_.end()) outcome = found->second;
  }
  return reply<upstream::TagPage>(std::move(outcome), std::move(done));
}

void FakeRegistry::report_corrupt(std::string_view what) {
  const std::lock_guard lock(upstream_.mutex_);
  upstream_.corrupt_.emplace_back(what);
}

}  // namespace shoal::test
