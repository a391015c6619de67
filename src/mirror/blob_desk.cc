#include "blob_desk.h"

#include "explain.h"
#include "hash_only.h"
#include "shoal/obs/log.h"

namespace shoal::mirror {
namespace {

std::string proof_key(const std::string& canonical, const base::Digest& digest) {
  return canonical + '@' + digest.to_string();
}

// A blob that is arriving.
class FillBlob final : public Blob {
 public:
  FillBlob(std::shared_ptr<FillState> state, base::Loop& loop, bool kept, Provenance provenance)
      : Blob(std::move(provenance)), state_(std::move(state)), loop_(loop), kept_(kept), hold_(state_->attach(0)) {}
  ~FillBlob() override { let_go(); }

  [[nodiscard]] std::optional<std::uint64_t> size() const override { return state_->size(); }
  [[nodiscard]] bool seekable() const override { return kept_; }
  [[nodiscard]] std::unique_ptr<base::ByteSource> read(base::ByteRange range) override {
    auto reader = std::make_unique<FillReader>(state_, loop_, range.begin, range.end);
    let_go();
    return reader;
  }
  [[nodiscard]] std::unique_ptr<base::ByteSource> read_all() override {
    auto reader = std::make_unique<FillReader>(state_, loop_, 0, std::nullopt);
    let_go();
    return reader;
  }

 private:
  void let_go() {
    if (hold_ != 0) state_->detach(std::exchange(hold_, 0));
  }
  std::shared_ptr<FillState> state_;  // shared with the fill and its other readers
  base::Loop& loop_;
  bool kept_;
  std::uint64_t hold_;  // bytes that cannot be kept wait for read()
};

// Is the blob in that repository? HEAD; where HEAD is refused, a GET that is dropped at its head.
class ProofCall final : private upstream::BlobSink {
 public:
  using Done = upstream::Registry::Done<upstream::BlobHead>;
  ProofCall(base::Loop& loop, const FillSource& source, const base::Digest& digest)
      : loop_(loop), source_(source), digest_(digest) {}

  upstream::Call start(Done done) {
    done_ = std::move(done);
    return source_.upstream->head_blob(
        source_.repository, digest_, [this](upstream::Outcome<upstream::BlobHead> outcome) {
          const auto* failure = std::get_if<upstream::Failure>(&outcome);
          if (failure == nullptr || !refuses_head(failure->status)) {
            return std::exchange(done_, nullptr)(std::move(outcome));
          }
          get_ = source_.upstream->get_blob(source_.repository, digest_, 0, std::nullopt, 0, *this);
        });
  }

 private:
  static bool refuses_head(int status) { return status == 400 || status == 403 || status == 405 || status == 501; }
  void answer(upstream::Outcome<upstream::BlobHead> outcome) {
    get_.cancel();
    if (done_) std::exchange(done_, nullptr)(std::move(outcome));
  }
  void on_start(std::uint64_t, std::optional<std::uint64_t> total) override { answer(upstream::BlobHead{total}); }
  fetch::Flow on_data(std::string_view) override { return fetch::Flow::pause; }
  void on_end(std::optional<upstream::Failure> failure) override {
    if (failure) answer(std::move(*failure));
  }

  base::Loop& loop_;
  FillSource source_;
  base::Digest digest_;
  Done done_;
  upstream::Call get_;
};

}  // namespace

struct BlobDesk::Proof {
  Proof(BlobDesk& desk, FillSource s, const base::Digest& d)
      : source(std::move(s)),
        digest(d),
        call(desk.parts_.loop, source, d),
        retrier(
            desk.parts_.loop, *source.upstream, desk.options_.retry,
            [this](upstream::Registry::Done<upstream::BlobHead> done) { return call.start(std::move(done)); },
            [&desk, key = proof_key(source.canonical, d)](upstream::Outcome<upstream::BlobHead> outcome) {
              desk.proved(key, outcome);
            }) {}
  FillSource source;
  base::Digest digest;
  ProofCall call;
  Retrier<upstream::BlobHead> retrier;
  std::vector<Proven> waiting;
};

// A request that waits for its fill to have something to say.
struct BlobDesk::Opening {
  base::Digest digest;
  std::shared_ptr<FillState> state;  // shared with the fill, which may go first
  bool kept;
  Provenance provenance;
  Box<std::unique_ptr<Blob>> box;
  std::string registry;
  base::Timer timer;
};

BlobDesk::BlobDesk(const DeskParts& parts, const MirrorOptions& options) : parts_(parts), options_(options) {}
BlobDesk::~BlobDesk() = default;

bool BlobDesk::known_absent(const std::string& canonical, const base::Digest& digest) const {
  const auto until = parts_.index.find_absent(canonical, digest.to_string());
  return until && parts_.clock.wall_now() < *until;
}

void BlobDesk::open(const Target& target, const base::Digest& digest, Box<std::unique_ptr<Blob>> box) {
  const auto source = source_of(parts_, target);
  if (!source) return box->answer(box, not_configured(target));
  if (stopping_ || openings_.size() + proofs_.size() >= options_.max_waiting) return box->answer(box, overloaded());

  const auto link = parts_.index.find_link(source->canonical, digest);
  const bool proven = link && link->proven;
  bool held = parts_.index.store().find_blob(digest).has_value();
  if (proven && held) {
    if (auto open = parts_.index.store().open_blob(digest); open.ok()) {
      parts_.index.store().touch_blob(digest);
      return box->answer(box, stored_blob(std::move(*open), Provenance{}));
    }
    held = false;  // damaged: a fill will look at it
  }
  if (!proven && known_absent(source->canonical, digest)) {
    return box->answer(
        box, Refusal{Refusal::Kind::not_found, "blob " + digest.to_string() + " is not in " + source->canonical, {}});
  }

  auto it = fills_.find(digest);
  if (it != fills_.end() && !it->second->can_serve_from(0)) {
    retired_.push_back(std::move(it->second));
    fills_.erase(it);
    it = fills_.end();
  }
  const bool running = it != fills_.end();
  if (!proven && ((running && !it->second->serves(source->canonical)) || (!running && held))) {
    return prove(*source, digest, [this, target, digest, box](const upstream::Outcome<upstream::BlobHead>& outcome) {
      if (const auto* failure = std::get_if<upstream::Failure>(&outcome)) return box->answer(box, explain(*failure));
      open(target, digest, box);
    });
  }
  Provenance provenance;
  if (running) {
    provenance.kind = Provenance::Kind::collapsed;
    it->second->join(*source);
    return await(*it->second, target, digest, std::move(provenance), std::move(box));
  }
  if (fills_.size() + retired_.size() >= options_.max_fills) return box->answer(box, overloaded());
  const auto limit = source->upstream->options().max_blob_bytes;
  if (limit != 0 && link && link->size && *link->size > limit) {
    return box->answer(box, Refusal{Refusal::Kind::too_large, too_large(source->registry, limit), {}});
  }
  provenance.kind = Provenance::Kind::miss;
  Fill* fill = start_fill(*source, digest, link);
  await(*fill, target, digest, std::move(provenance), std::move(box));
}

Fill* BlobDesk::start_fill(FillSource source, const base::Digest& digest,
                           const std::optional<store::LinkRecord>& link) {
  auto& store = parts_.index.store();
  const auto size = link ? link->size : std::nullopt;
  bool kept = store.admit(size.value_or(0)) == store::Admission::keep;
  std::unique_ptr<store::FillFile> file;
  if (kept) {
    auto begun = store.begin_fill(digest, parts_.loop);
    if (begun.ok()) {
      file = std::move(*begun);
    } else {
      kept = false;
      obs::debug(obs::Category::mirror, "{} passes through: {}", digest.to_string(), begun.error().message());
    }
  }
  if (!kept) file = make_hash_only_fill(digest, parts_.loop, parts_.disk);
  auto fill =
      std::make_unique<Fill>(Fill::Parts{parts_.loop, parts_.clock, parts_.index, parts_.disk, parts_.probe}, options_,
                             digest, std::move(source), size, link && link->proven, std::move(file), kept);
  Fill* raw = fill.get();
  raw->when_finished([this, raw] { fill_finished(raw); });
  fills_.emplace(digest, std::move(fill));
  raw->start();
  return raw;
}

void BlobDesk::fill_finished(const Fill* fill) {
  std::erase_if(fills_, [fill](const auto& entry) { return entry.second.get() == fill; });
  std::erase_if(retired_, [fill](const auto& entry) { return entry.get() == fill; });
}

void BlobDesk::await(Fill& fill, const Target& target, const base::Digest& digest, Provenance provenance,
                     Box<std::unique_ptr<Blob>> box) {
  provenance.stored = fill.kept();
  if (!fill.kept()) provenance.detail = "not kept";
  auto opening = std::make_unique<Opening>(
      Opening{digest, fill.state(), fill.kept(), std::move(provenance), std::move(box), target.registry, {}});
  Opening* raw = opening.get();
  const bool size_known = fill.state()->size().has_value();
  raw->timer =
      parts_.loop.schedule(size_known ? options_.header_wait : options_.answer_wait, [this, raw] { waited(*raw); });
  openings_.push_back(std::move(opening));
  fill.when_answerable([watch = life_.watch(), this, raw] {
    if (watch.gone()) return;
    for (const auto& waiting : openings_) {
      if (waiting.get() == raw) return answer_opening(*raw);
    }
  });
}

// Some clients give up on an answer without a head after 30 s. Upstream that is only slow is waited for with the head
// sent; one that has failed already gets the client an error it can act on.
void BlobDesk::waited(Opening& opening) {
  const auto fill = fills_.find(opening.digest);
  const bool troubled = fill == fills_.end() || fill->second->troubled();
  if (troubled || !opening.state->size()) {
    opening.box->answer(opening.box, Refusal{Refusal::Kind::unavailable, opening.registry + " has not answered yet",
                                             std::chrono::seconds(5)});
  }
  answer_opening(opening);
}

void BlobDesk::answer_opening(Opening& opening) {
  auto& box = opening.box;
  if (const auto refusal = opening.state->failure()) {
    box->answer(box, *refusal);
  } else if (box->wanted()) {
    box->answer(box, std::make_unique<FillBlob>(opening.state, box->loop(), opening.kept, opening.provenance));
  }
  openings_.remove_if([&opening](const auto& waiting) { return waiting.get() == &opening; });
}

void BlobDesk::prove(const FillSource& source, const base::Digest& digest, Proven then) {
  const auto key = proof_key(source.canonical, digest);
  auto& proof = proofs_[key];
  const bool fresh = proof == nullptr;
  if (fresh) proof = std::make_unique<Proof>(*this, source, digest);
  proof->waiting.push_back(std::move(then));
  if (fresh) proof->retrier.start();
}

void BlobDesk::proved(const std::string& key, const upstream::Outcome<upstream::BlobHead>& outcome) {
  const auto it = proofs_.find(key);
  if (it == proofs_.end()) return;
  auto proof = std::move(it->second);  // lives to the end of this call
  proofs_.erase(it);
  const auto& source = proof->source;
  if (const auto* head = std::get_if<upstream::BlobHead>(&outcome)) {
    parts_.index.commit({store::PutLink{source.canonical, proof->digest, {head->size, true}}});
  } else if (std::get<upstream::Failure>(outcome).kind == upstream::Failure::Kind::not_found) {
    const auto until = parts_.clock.wall_now() + source.upstream->options().tags.negative_ttl;
    parts_.index.commit({store::PutAbsent{source.canonical, proof->digest.to_string(), until}});
  }
  for (auto& then : proof->waiting) then(outcome);
  parts_.loop.post([keep = std::shared_ptr<Proof>(std::move(proof))] {});  // we are inside its retrier's call
}

void BlobDesk::stat(const Target& target, const base::Digest& digest, Box<BlobStat> box) {
  const auto source = source_of(parts_, target);
  if (!source) return box->answer(box, not_configured(target));
  if (stopping_ || openings_.size() + proofs_.size() >= options_.max_waiting) return box->answer(box, overloaded());
  const auto link = parts_.index.find_link(source->canonical, digest);
  if (link && link->proven) {
    if (const auto record = parts_.index.store().find_blob(digest)) {
      return box->answer(box, BlobStat{record->size, Provenance{}});
    }
    const auto fill = fills_.find(digest);
    if (fill != fills_.end() && fill->second->answerable() && fill->second->state()->size()) {
      return box->answer(box, BlobStat{*fill->second->state()->size(), {Provenance::Kind::collapsed, true, {}, ""}});
    }
  } else if (known_absent(source->canonical, digest)) {
    return box->answer(
        box, Refusal{Refusal::Kind::not_found, "blob " + digest.to_string() + " is not in " + source->canonical, {}});
  }
  prove(*source, digest,
        [box, hint = link ? link->size : std::nullopt](const upstream::Outcome<upstream::BlobHead>& outcome) {
          if (const auto* failure = std::get_if<upstream::Failure>(&outcome))
            return box->answer(box, explain(*failure));
          const auto size = std::get<upstream::BlobHead>(outcome).size;
          if (!size && !hint) {
            return box->answer(box, Refusal{Refusal::Kind::unavailable, "upstream does not tell the blob's size",
                                            std::chrono::seconds(5)});
          }
          box->answer(box, BlobStat{size ? *size : *hint, {Provenance::Kind::miss, false, {}, ""}});
        });
}

void BlobDesk::stop() {
  stopping_ = true;
  proofs_.clear();
  fills_.clear();
  retired_.clear();
  for (const auto& opening : openings_) opening->box->answer(opening->box, overloaded());
  openings_.clear();
}

}  // namespace shoal::mirror
