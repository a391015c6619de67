#include "blob_desk.h"

#include "explain.h"
#include "fill_blob.h"
#include "hash_only.h"
#include "proof_call.h"
#include "shoal/obs/log.h"

namespace shoal::mirror {
namespace {

constexpr std::chrono::seconds kPublishPatience{10};  // when this node stops

std::string proof_key(const std::string& canonical, const base::Digest& digest) {
  return canonical + '@' + digest.to_string();
}

Refusal absent(const FillSource& source, const base::Digest& digest) {
  return {Refusal::Kind::not_found, "blob " + digest.to_string() + " is not in " + source.canonical, {}};
}

Refusal no_descriptors() {
  return {Refusal::Kind::overloaded, "this mirror has too many files and connections open", std::chrono::seconds(5)};
}

}  // namespace

// The question whether a repository has a blob, and those who wait for it.
struct BlobDesk::Proof {
  struct Waiter {
    Proven then;
    base::Timer timer;
  };
  Proof(BlobDesk& desk, FillSource s, const base::Digest& d)
      : source(std::move(s)),
        digest(d),
        call(source, d),
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
  std::map<std::uint64_t, Waiter> waiting;
};

// A request that waits for its fill to have something to say.
struct BlobDesk::Opening {
  std::shared_ptr<FillState> state;  // shared with the fill, which may go first
  FillHold hold;                     // it is a reader already: the fill does not end for want of any
  bool gated;
  Provenance::Kind kind;
  Box<std::unique_ptr<Blob>> box;
  std::string registry;
  std::shared_ptr<upstream::Registry> upstream;
  base::Timer timer;
};

BlobDesk::BlobDesk(const DeskParts& parts, const MirrorOptions& options) : parts_(parts), options_(options) {}
BlobDesk::~BlobDesk() = default;

bool BlobDesk::known_absent(const FillSource& source, const base::Digest& digest) const {
  return still_absent(parts_.index.find_absent(source.canonical, digest.to_string()),
                      source.upstream->options().tags.negative_ttl, parts_.clock.wall_now());
}

void BlobDesk::open(const Target& target, const base::Digest& digest, Box<std::unique_ptr<Blob>> box) {
  const auto source = source_of(parts_, target);
  if (!source) return box->answer(box, not_reachable(target));
  if (stopping_) return box->answer(box, stopping());
  if (crowded()) return box->answer(box, overloaded());

  const auto link = parts_.index.find_link(source->canonical, digest);
  if (link && link->proven) return open_proven(*source, digest, std::move(box));
  if (known_absent(*source, digest)) return box->answer(box, absent(*source, digest));
  const auto* other = running(digest);
  const bool others =
      other != nullptr ? !other->serves(source->canonical) : parts_.index.store().find_blob(digest).has_value();
  if (!others) return fill(*source, digest, /*proven=*/false, std::move(box));
  prove(*source, digest,
        [this, source = *source, digest, box](const upstream::Outcome<upstream::BlobHead>& outcome) mutable {
          if (const auto* failure = std::get_if<upstream::Failure>(&outcome))
            return box->answer(box, explain(*failure));
          open_proven(source, digest, std::move(box));
        });
}

void BlobDesk::open_proven(const FillSource& source, const base::Digest& digest, Box<std::unique_ptr<Blob>> box) {
  auto open = parts_.index.store().open_blob(digest);
  if (open.ok()) {
    parts_.index.store().touch_blob(digest);
    return box->answer(box, stored_blob(std::move(*open), Provenance{}));
  }
  // Damaged: a fill will look at it. No descriptor left: nothing is known against it, and a fill would need more of
  // them.
  if (open.error().kind() == base::ErrorKind::busy) return box->answer(box, no_descriptors());
  if (running(digest) == nullptr && known_absent(source, digest)) return box->answer(box, absent(source, digest));
  fill(source, digest, /*proven=*/true, std::move(box));
}

// The fill of that digest that can be joined.
Fill* BlobDesk::running(const base::Digest& digest) {
  const auto it = fills_.find(digest);
  if (it == fills_.end()) return nullptr;
  const auto& fill = *it->second;
  if (fill.over() && !fill.state()->is_verified()) {  // its end is not this request's end
    fills_.erase(it);
    return nullptr;
  }
  if (!fill.can_serve_from(0)) {
    retired_.push_back(std::move(it->second));
    fills_.erase(it);
    return nullptr;
  }
  return it->second.get();
}

void BlobDesk::fill(const FillSource& source, const base::Digest& digest, bool proven, Box<std::unique_ptr<Blob>> box) {
  if (Fill* joined = running(digest)) {
    joined->join(source);
    return await(*joined, source, Provenance::Kind::collapsed, std::move(box));
  }
  if (fills_.size() + retired_.size() >= options_.max_fills) return box->answer(box, overloaded());
  const auto link = parts_.index.find_link(source.canonical, digest);
  const auto size = link ? link->size : std::nullopt;
  const auto limit = source.upstream->options().max_blob_bytes;
  if (limit != 0 && size && *size > limit) {
    return box->answer(box, Refusal{Refusal::Kind::too_large, too_large(source.registry, limit), {}});
  }
  await(*start_fill(source, digest, size, proven), source, Provenance::Kind::miss, std::move(box));
}

Fill* BlobDesk::start_fill(const FillSource& source, const base::Digest& digest, std::optional<std::uint64_t> size,
                           bool proven) {
  auto& store = parts_.index.store();
  // Room is made when bytes are about to come: an upstream that is away must cost nothing that is held.
  bool kept = store.would_admit(size.value_or(0)) == store::Admission::keep;
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
  auto fill = std::make_unique<Fill>(
      Fill::Parts{parts_.loop, parts_.clock, parts_.index, parts_.disk, parts_.probe, parts_.events, parts_.site},
      options_, digest, source, size, proven, std::move(file), kept);
  Fill* raw = fill.get();
  raw->when_finished([this, raw] { fill_finished(raw); });
  fills_.emplace(digest, std::move(fill));
  raw->start();
  return raw;
}

void BlobDesk::fill_finished(const Fill* fill) {
  std::erase_if(fills_, [fill](const auto& entry) { return entry.second.get() == fill; });
  std::erase_if(retired_, [fill](const auto& entry) { return entry.get() == fill; });
  if (stopping_ && fills_.empty() && retired_.empty()) let_go();
}

void BlobDesk::await(Fill& fill, const FillSource& source, Provenance::Kind kind, Box<std::unique_ptr<Blob>> box) {
  await(fill, source, fill.gates(source.canonical), kind, std::move(box));
}

void BlobDesk::await(Fill& fill, const FillSource& source, bool gated, Provenance::Kind kind,
                     Box<std::unique_ptr<Blob>> box) {
  const auto id = next_id_++;
  auto& opening = openings_[id];
  opening = std::make_unique<Opening>(
      Opening{fill.state(), FillHold(fill.state()), gated, kind, std::move(box), source.registry, source.upstream, {}});
  const bool size_known = fill.state()->size().has_value();
  opening->timer =
      parts_.loop.schedule(size_known ? options_.header_wait : options_.answer_wait, [this, id] { waited(id); });
  fill.when_answerable(gated, [watch = life_.watch(), this, id] {
    if (!watch.gone()) answer_opening(id);
  });
}

// Some clients give up on an answer without a head after 30 s. Upstream that is only slow is waited for with the head
// sent; one that has failed already gets the client an error it can act on.
void BlobDesk::waited(std::uint64_t id) {
  const auto it = openings_.find(id);
  if (it == openings_.end()) return;
  const auto& opening = *it->second;
  if (opening.state->troubled() || !opening.state->size()) {
    opening.box->answer(opening.box,
                        Refusal{Refusal::Kind::unavailable, not_answered_yet(opening.registry, *opening.upstream),
                                std::chrono::seconds(5)});
  }
  answer_opening(id);
}

void BlobDesk::answer_opening(std::uint64_t id) {
  const auto it = openings_.find(id);
  if (it == openings_.end()) return;
  const auto opening = std::move(it->second);
  openings_.erase(it);
  const auto& box = opening->box;
  if (!box->wanted() || box->answered()) return;  // its hold goes, and the fill hears of it
  if (auto refusal = opening->state->failure()) return box->answer(box, std::move(*refusal));
  if (opening->gated) {
    if (auto refusal = opening->state->unproven_refusal()) return box->answer(box, std::move(*refusal));
  }
  Provenance provenance;
  provenance.kind = opening->kind;
  provenance.stored = opening->state->kept();
  provenance.detail = provenance.stored ? opening->state->origin() : "not kept";
  box->answer(box,
              fill_blob(opening->state, std::move(opening->hold), box->loop(), opening->gated, std::move(provenance)));
}

void BlobDesk::prove(const FillSource& source, const base::Digest& digest, Proven then) {
  const auto key = proof_key(source.canonical, digest);
  // Questions outlive those who asked: they are bounded too.
  if (proofs_.size() >= options_.max_waiting && !proofs_.contains(key)) {
    const auto refusal = overloaded();
    return then(upstream::Failure{upstream::Failure::Kind::unavailable, 0, refusal.retry_after, refusal.message});
  }
  const auto id = next_id_++;
  auto& proof = proofs_[key];
  const bool fresh = proof == nullptr;
  if (fresh) proof = std::make_unique<Proof>(*this, source, digest);
  ++proving_;
  proof->waiting.emplace(id, Proof::Waiter{std::move(then), parts_.loop.schedule(options_.answer_wait, [this, key, id] {
                                             proof_is_late(key, id);
                                           })});
  if (fresh) proof->retrier.start();
}

// The question goes on, for those who come later.
void BlobDesk::proof_is_late(const std::string& key, std::uint64_t waiter) {
  const auto it = proofs_.find(key);
  if (it == proofs_.end()) return;
  auto node = it->second->waiting.extract(waiter);
  if (node.empty()) return;
  --proving_;
  const auto& source = it->second->source;
  node.mapped().then(upstream::Failure{upstream::Failure::Kind::timeout, 0, std::chrono::seconds(5),
                                       not_answered_yet(source.registry, *source.upstream)});
}

void BlobDesk::proved(const std::string& key, const upstream::Outcome<upstream::BlobHead>& outcome) {
  const auto it = proofs_.find(key);
  if (it == proofs_.end()) return;
  auto proof = std::move(it->second);  // lives to the end of this call
  proofs_.erase(it);
  proving_ -= proof->waiting.size();
  const auto& source = proof->source;
  if (std::holds_alternative<upstream::BlobHead>(outcome)) {
    // Its size is upstream's word only: not remembered.
    parts_.index.commit({store::PutLink{source.canonical, proof->digest, {std::nullopt, true}}});
  } else if (std::get<upstream::Failure>(outcome).kind == upstream::Failure::Kind::not_found) {
    const auto until = parts_.clock.wall_now() + source.upstream->options().tags.negative_ttl;
    parts_.index.commit({store::PutAbsent{source.canonical, proof->digest.to_string(), until}});
  }
  for (auto& [id, waiter] : std::exchange(proof->waiting, {})) waiter.then(outcome);
  parts_.loop.post([keep = std::shared_ptr<Proof>(std::move(proof))] {});  // we are inside its retrier's call
}

void BlobDesk::stat(const Target& target, const base::Digest& digest, Box<BlobStat> box) {
  const auto source = source_of(parts_, target);
  if (!source) return box->answer(box, not_reachable(target));
  if (stopping_) return box->answer(box, stopping());
  if (crowded()) return box->answer(box, overloaded());
  const auto link = parts_.index.find_link(source->canonical, digest);
  if (link && link->proven) {
    if (const auto record = parts_.index.store().find_blob(digest)) {
      return box->answer(box, BlobStat{record->size, Provenance{}});
    }
    const auto* fill = running(digest);
    const auto size = fill != nullptr && fill->answerable(source->canonical) ? fill->state()->size() : std::nullopt;
    if (size) return box->answer(box, BlobStat{*size, {Provenance::Kind::collapsed, fill->kept(), {}, ""}});
  }
  if (known_absent(*source, digest)) return box->answer(box, absent(*source, digest));
  prove(*source, digest,
        [box, hint = link ? link->size : std::nullopt](const upstream::Outcome<upstream::BlobHead>& outcome) {
          if (const auto* failure = std::get_if<upstream::Failure>(&outcome))
            return box->answer(box, explain(*failure));
          const auto size = hint ? hint : std::get<upstream::BlobHead>(outcome).size;
          if (!size) {
            return box->answer(box, Refusal{Refusal::Kind::unavailable, "upstream does not tell the blob's size",
                                            std::chrono::seconds(5)});
          }
          box->answer(box, BlobStat{*size, {Provenance::Kind::miss, false, {}, ""}});
        });
}

// What neighbours may have: it is here, or upstream is sending it. A fill that follows a neighbour itself is not
// offered: two might follow each other.
void BlobDesk::peek(const base::Digest& digest, Box<std::unique_ptr<Blob>> box) {
  if (stopping_) return box->answer(box, stopping());
  auto open = parts_.index.store().open_blob(digest);
  if (open.ok()) {
    parts_.index.store().touch_blob(digest);
    return box->answer(box, stored_blob(std::move(*open), Provenance{}));
  }
  Fill* fill = running(digest);
  if (fill == nullptr) {
    return box->answer(box, Refusal{Refusal::Kind::not_found, digest.to_string() + " is not here", {}});
  }
  if (fill->follows()) {
    return box->answer(box, Refusal{Refusal::Kind::unavailable, digest.to_string() + " is not fetched here", {}});
  }
  if (crowded()) return box->answer(box, overloaded());
  await(*fill, fill->source(), /*gated=*/false, Provenance::Kind::collapsed, std::move(box));
}

void BlobDesk::stop(base::UniqueFunction<void()> stopped) {
  stopping_ = true;
  stopped_ = std::move(stopped);
  const auto proofs = std::exchange(proofs_, {});
  for (const auto& [key, proof] : proofs) {
    for (auto& [id, waiter] : std::exchange(proof->waiting, {})) {
      waiter.then(
          upstream::Failure{upstream::Failure::Kind::unavailable, 0, std::chrono::seconds(1), stopping().message});
    }
  }
  proving_ = 0;
  const auto openings = std::exchange(openings_, {});
  for (const auto& [id, opening] : openings) opening->box->answer(opening->box, stopping());
  std::erase_if(fills_, [](const auto& entry) { return !entry.second->publishing(); });
  std::erase_if(retired_, [](const auto& fill) { return !fill->publishing(); });
  if (fills_.empty() && retired_.empty()) return let_go();
  patience_ = parts_.loop.schedule(kPublishPatience, [this] { let_go(); });
}

void BlobDesk::let_go() {
  patience_.cancel();
  fills_.clear();
  retired_.clear();
  if (auto stopped = std::exchange(stopped_, nullptr)) stopped();
}

}  // namespace shoal::mirror
