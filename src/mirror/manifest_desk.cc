#include "manifest_desk.h"

#include "explain.h"
#include "shoal/base/format.h"
#include "shoal/mirror/freshness.h"
#include "shoal/obs/log.h"
#include "shoal/registry/manifest.h"

namespace shoal::mirror {
namespace {

constexpr std::size_t kParseOnLoop = 64 * 1024;  // larger manifests are read on the pool

std::vector<store::Write> hints_of(const std::string& canonical, std::string_view bytes) {
  std::vector<store::Write> writes;
  const auto view = registry::parse_manifest(bytes);
  if (!view.ok()) return writes;
  for (const auto& child : view->children) {
    if (child.foreign) continue;
    writes.push_back(store::PutLink{canonical, child.digest, {child.size, false}});
  }
  return writes;
}

// Upstream's 404 of a tag may also mean that there is no such repository: the list tells.
std::string unknown_tag(const FillSource& source, std::string_view tag, std::string_view said) {
  return base::format("{} has no {}:{} ({}); its tags: /v2/{}/tags/list of this mirror", source.registry,
                      source.repository, tag, said, source.canonical);
}

}  // namespace

struct ManifestDesk::Flight {
  FillSource source;
  std::string reference;
  std::optional<base::Digest> digest;  // asked by digest
  std::optional<store::TagRecord> known;
  std::optional<ManifestAnswer> stale;  // may be served if upstream fails or dawdles
  std::vector<Box<ManifestAnswer>> waiting;
  std::unique_ptr<ManifestFetch> fetch;
  base::Timer patience;
  bool dawdling = false;  // those who come now get the stale copy at once ...
  bool patient = true;    // ... or start a new wait, if none runs
};

std::chrono::seconds age_of(base::WallTime since, base::WallTime now) {
  return std::max(std::chrono::seconds(0), std::chrono::duration_cast<std::chrono::seconds>(now - since));
}

std::optional<ManifestAnswer> answer_from(const Index& index, const base::Digest& digest) {
  auto record = index.find_manifest(digest);
  if (!record) return std::nullopt;
  return ManifestAnswer{digest, std::move(record->media_type), std::move(record->bytes), {}, {}};
}

ManifestDesk::ManifestDesk(const DeskParts& parts, const MirrorOptions& options) : parts_(parts), options_(options) {}
ManifestDesk::~ManifestDesk() = default;

void ManifestDesk::get(const Target& target, const registry::Reference& reference, Box<ManifestAnswer> box) {
  const auto source = source_of(parts_, target);
  if (!source) return box->answer(box, not_reachable(target));
  if (stopping_) return box->answer(box, stopping());
  if (waiting_ >= options_.max_waiting) return box->answer(box, overloaded());
  if (const auto* tag = std::get_if<registry::Tag>(&reference)) return by_tag(*source, *tag, std::move(box));
  by_digest(*source, std::get<base::Digest>(reference), std::move(box));
}

void ManifestDesk::by_tag(const FillSource& source, const std::string& tag, Box<ManifestAnswer> box) {
  const auto record = parts_.index.find_tag(source.canonical, tag);
  const auto absent = parts_.index.find_absent(source.canonical, tag);
  const auto& options = source.upstream->options();
  const auto now = parts_.clock.wall_now();
  auto health = source.upstream->health();
  auto decision = freshness(record, absent, options.tags, health, options.rate_limit_reserve, now);
  if (decision == Freshness::absent) {
    const auto said = base::format("it said so less than {} seconds ago", options.tags.negative_ttl.count());
    return box->answer(box, Refusal{Refusal::Kind::not_found, unknown_tag(source, tag, said), {}});
  }
  auto held = record ? answer_from(parts_.index, record->digest) : std::nullopt;
  if (!held) return ask(source, tag, std::nullopt, std::nullopt, std::nullopt, std::move(box));
  held->provenance.age = age_of(record->checked, now);
  if (decision == Freshness::fresh) return box->answer(box, std::move(*held));

  auto stale = *held;
  stale.provenance.kind = Provenance::Kind::stale;
  switch (decision) {
    case Freshness::refresh_behind:
    case Freshness::stale_upstream_ill:
      stale.provenance.detail =
          decision == Freshness::refresh_behind
              ? "refreshing behind"
              : (health.open ? "upstream fails: " + source.registry : "upstream's rate limit: " + source.registry);
      parts_.probe.stale_served(source.registry);
      box->answer(box, stale);
      return ask(source, tag, std::nullopt, record, std::move(stale), nullptr);
    case Freshness::revalidate: return ask(source, tag, std::nullopt, record, std::move(stale), std::move(box));
    default: return ask(source, tag, std::nullopt, record, std::nullopt, std::move(box));
  }
}

void ManifestDesk::by_digest(const FillSource& source, const base::Digest& digest, Box<ManifestAnswer> box) {
  const auto link = parts_.index.find_link(source.canonical, digest);
  if (link && link->proven) {
    if (auto held = answer_from(parts_.index, digest)) return box->answer(box, std::move(*held));
  }
  const auto absent = parts_.index.find_absent(source.canonical, digest.to_string());
  if (still_absent(absent, source.upstream->options().tags.negative_ttl, parts_.clock.wall_now())) {
    return box->answer(box,
                       Refusal{Refusal::Kind::not_found,
                               source.registry + " does not know " + digest.to_string() + " in " + source.repository,
                               {}});
  }
  ask(source, digest.to_string(), digest, std::nullopt, std::nullopt, std::move(box));
}

void ManifestDesk::ask(const FillSource& source, const std::string& reference, std::optional<base::Digest> digest,
                       std::optional<store::TagRecord> known, std::optional<ManifestAnswer> stale,
                       Box<ManifestAnswer> box) {
  const auto key = source.canonical + (digest ? '@' : ':') + reference;
  const auto running = flights_.find(key);
  if (running != flights_.end()) {
    auto& flight = running->second;
    if (!box) return;
    parts_.probe.joined_flight();
    if (flight->dawdling && stale) {
      stale->provenance.detail = source.registry + " is slow to answer";
      parts_.probe.stale_served(source.registry);
      return box->answer(box, std::move(*stale));
    }
    flight->waiting.push_back(std::move(box));
    ++waiting_;
    if (stale && !flight->stale) flight->stale = std::move(stale);
    if (!flight->patient) wait_for(*flight, key, options_.answer_wait);
    return;
  }
  // Questions outlive those who asked: they are bounded too.
  if (flights_.size() >= options_.max_waiting) {
    if (!box) return;
    return stale ? box->answer(box, std::move(*stale)) : box->answer(box, overloaded());
  }
  auto& flight = flights_[key];
  flight = std::make_unique<Flight>();
  flight->source = source;
  flight->reference = reference;
  flight->digest = digest;
  flight->known = known;
  flight->stale = std::move(stale);
  if (box) {
    flight->waiting.push_back(std::move(box));
    ++waiting_;
  }
  const auto patience = flight->stale ? source.upstream->options().tags.revalidate_wait : options_.answer_wait;
  wait_for(*flight, key, patience);
  flight->fetch =
      std::make_unique<ManifestFetch>(parts_, options_, source, reference, !digest, known,
                                      [this, key](ManifestFetch::Answer answer) { landed(key, std::move(answer)); });
  flight->fetch->start();
}

void ManifestDesk::wait_for(Flight& flight, const std::string& key, std::chrono::milliseconds patience) {
  flight.patient = true;
  flight.patience = parts_.loop.schedule(patience, [this, key] { waited_long_enough(key); });
}

void ManifestDesk::waited_long_enough(const std::string& key) {
  const auto it = flights_.find(key);
  if (it == flights_.end()) return;
  auto& flight = *it->second;
  flight.dawdling = true;
  flight.patient = false;
  answer_failure(flight, {upstream::Failure::Kind::timeout, 0, std::chrono::seconds(5),
                          not_answered_yet(flight.source.registry, *flight.source.upstream)});
}

// Whoever waits gets the stale copy, or the refusal. The question itself may go on.
void ManifestDesk::answer_failure(Flight& flight, const upstream::Failure& failure) {
  for (auto& box : std::exchange(flight.waiting, {})) {
    --waiting_;
    if (flight.stale) {
      auto stale = *flight.stale;
      stale.provenance.detail = failure.message;
      parts_.probe.stale_served(flight.source.registry);
      box->answer(box, std::move(stale));
    } else {
      box->answer(box, explain(failure));
    }
  }
}

void ManifestDesk::landed(const std::string& key, ManifestFetch::Answer answer) {
  const auto it = flights_.find(key);
  if (it == flights_.end()) return;
  auto owned = std::move(it->second);
  flights_.erase(it);
  auto& flight = *owned;
  flight.patience.cancel();
  const auto& source = flight.source;
  const auto now = parts_.clock.wall_now();

  std::optional<ManifestAnswer> held;
  if (const auto* same = std::get_if<ManifestFetch::Moved>(&answer)) {
    held = answer_from(parts_.index, same->digest);
    if (!held) answer = upstream::Failure{upstream::Failure::Kind::unavailable, 0, {}, "the manifest was just removed"};
  }
  if (auto* failure = std::get_if<upstream::Failure>(&answer)) {
    if (!flight.digest) parts_.probe.tag_checked(source.registry, to_word(failure->kind));
    if (failure->kind == upstream::Failure::Kind::not_found) {
      std::vector<store::Write> writes;
      if (!flight.digest) {
        writes.push_back(store::RemoveTag{source.canonical, flight.reference});
        failure->message = unknown_tag(source, flight.reference, failure->message);
      }
      writes.push_back(
          store::PutAbsent{source.canonical, flight.reference, now + source.upstream->options().tags.negative_ttl});
      parts_.index.commit(std::move(writes));
      flight.stale.reset();  // upstream said it is gone: a copy of it is not an answer
    }
    answer_failure(flight, *failure);
  } else {
    ManifestAnswer reply{base::digest_of(""), {}, {}, {}, {}};
    bool moved = false;
    if (const auto* same = std::get_if<ManifestFetch::Moved>(&answer)) {
      moved = !flight.known || flight.known->digest != same->digest;
      reply = std::move(*held);
      reply.provenance.kind = Provenance::Kind::revalidated;
      reply.provenance.age = std::chrono::seconds(0);
      const auto fetched = moved ? now : flight.known->fetched;
      parts_.index.commit({store::PutTag{source.canonical, flight.reference, {same->digest, fetched, now}},
                           store::PutLink{source.canonical, same->digest, {std::nullopt, true}}});
    } else if (const auto* remembered = std::get_if<ManifestFetch::Remembered>(&answer)) {
      reply = keep_remembered(flight, *remembered);
    } else {
      auto& manifest = std::get<upstream::Manifest>(answer);
      moved = flight.known && flight.known->digest != manifest.digest;
      keep(flight, manifest);
      reply = {manifest.digest, manifest.media_type, manifest.bytes, {}, manifest.warnings};
      reply.provenance.kind = Provenance::Kind::miss;
      reply.provenance.stored = true;
      reply.provenance.age = std::chrono::seconds(0);
      reply.provenance.detail = flight.fetch->origin();
      reply.provenance.from_neighbour = !reply.provenance.detail.empty();
    }
    flight.fetch->stored();
    if (!flight.digest) parts_.probe.tag_checked(source.registry, moved ? "moved" : flight.known ? "unchanged" : "new");
    bool first = true;
    for (auto& box : std::exchange(flight.waiting, {})) {
      --waiting_;
      auto copy = reply;
      if (!first && copy.provenance.kind == Provenance::Kind::miss) copy.provenance.kind = Provenance::Kind::collapsed;
      first = false;
      box->answer(box, std::move(copy));
    }
  }
  parts_.loop.post([keep = std::shared_ptr<Flight>(std::move(owned))] {});  // we are inside its fetch's call
}

// As old as it is where we have it from: it is asked about again like any stale tag.
ManifestAnswer ManifestDesk::keep_remembered(Flight& flight, const ManifestFetch::Remembered& tag) {
  const auto& canonical = flight.source.canonical;
  const auto now = parts_.clock.wall_now();
  if (!tag.held) {
    flight.digest = tag.digest;  // keep() is to remember the manifest, and no tag as of now
    keep(flight, {tag.digest, tag.manifest.media_type, tag.manifest.bytes, {}});
    flight.digest.reset();
  }
  parts_.index.commit(
      {store::PutTag{canonical, flight.reference, {tag.digest, now - tag.fetched_ago, now - tag.checked_ago}},
       store::PutLink{canonical, tag.digest, {std::nullopt, true}}});
  ManifestAnswer answer{tag.digest, tag.manifest.media_type, tag.manifest.bytes, {}, {}};
  answer.provenance.kind = Provenance::Kind::stale;
  answer.provenance.age = tag.checked_ago;
  answer.provenance.detail = "as a neighbour remembers it: " + tag.why;
  parts_.probe.stale_served(flight.source.registry);
  return answer;
}

void ManifestDesk::keep(Flight& flight, const upstream::Manifest& manifest) {
  const auto& canonical = flight.source.canonical;
  const auto now = parts_.clock.wall_now();
  std::vector<store::Write> writes;
  writes.push_back(store::PutManifest{canonical, manifest.digest, manifest.media_type, manifest.bytes, now});
  if (!flight.digest) {
    const bool same = flight.known && flight.known->digest == manifest.digest;
    writes.push_back(
        store::PutTag{canonical, flight.reference, {manifest.digest, same ? flight.known->fetched : now, now}});
  }
  if (manifest.bytes->size() <= kParseOnLoop) {
    for (auto& hint : hints_of(canonical, *manifest.bytes)) writes.push_back(std::move(hint));
  } else {
    keep_hints(canonical, manifest.bytes);
  }
  parts_.index.commit(std::move(writes));
}

void ManifestDesk::keep_hints(const std::string& canonical, std::shared_ptr<const std::string> bytes) {
  parts_.disk.post([canonical, bytes = std::move(bytes), &loop = parts_.loop, watch = life_.watch(), this] {
    loop.post([hints = hints_of(canonical, *bytes), watch, this]() mutable {
      if (!watch.gone()) parts_.index.commit(std::move(hints));
    });
  });
}

void ManifestDesk::stop() {
  stopping_ = true;
  for (auto& [key, flight] : flights_) {
    for (auto& box : flight->waiting) box->answer(box, stopping());
  }
  flights_.clear();
  waiting_ = 0;
}

}  // namespace shoal::mirror
