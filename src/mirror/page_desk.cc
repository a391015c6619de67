#include "page_desk.h"

#include <algorithm>
#include <charconv>

#include "explain.h"
#include "shoal/base/format.h"
#include "shoal/registry/push.h"
#include "shoal/registry/referrers.h"
#include "shoal/registry/wire.h"
#include "tagged_referrers.h"

namespace shoal::mirror {
namespace {

// What find_absent() knows upstream's 404 of a subject's referrers by: no tag, no digest.
std::string api_reference(const base::Digest& subject) { return "@" + subject.to_string(); }
// Set while upstream has no API for referrers.
std::string no_api_key(const std::string& registry) { return base::format("upstream/{}/no-referrers-api", registry); }

bool says_no_api(const upstream::Failure& failure) {
  return failure.kind == upstream::Failure::Kind::not_found || failure.status == 405 || failure.status == 501;
}

bool is_filtered(const upstream::TagPage& page) {
  for (const auto& [name, value] : page.headers) {
    if (name == "OCI-Filters-Applied" && value.find("artifactType") != std::string::npos) return true;
  }
  return false;
}

}  // namespace

struct PageDesk::Flight {
  FillSource source;
  std::string query;
  std::optional<base::Digest> subject;  // of referrers; absent: tags
  std::unique_ptr<Retrier<upstream::TagPage>> retrier;
  std::unique_ptr<TaggedReferrers> tagged;  // instead of it, or after it
  std::vector<Box<TagPage>> waiting;
  base::Timer patience;
  bool patient = false;
};

PageDesk::PageDesk(const DeskParts& parts, const MirrorOptions& options, ManifestDesk& manifests)
    : parts_(parts), options_(options), manifests_(manifests) {}
PageDesk::~PageDesk() = default;

void PageDesk::tags(const Target& target, std::string query, Box<TagPage> box) {
  const auto source = source_of(parts_, target);
  if (!source) return box->answer(box, not_reachable(target));
  auto flight = std::make_unique<Flight>();
  flight->source = *source;
  flight->query = std::move(query);
  const auto key = "tags " + source->canonical + "?" + flight->query;  // before the arguments move the flight away
  ask(key, std::move(flight), std::move(box));
}

void PageDesk::referrers(const Target& target, const base::Digest& digest, std::string query, Box<TagPage> box) {
  const auto source = source_of(parts_, target);
  if (!source) return box->answer(box, not_reachable(target));
  auto flight = std::make_unique<Flight>();
  flight->source = *source;
  flight->query = std::move(query);
  flight->subject = digest;
  const auto key = "referrers " + source->canonical + "@" + digest.to_string() + "?" + flight->query;
  ask(key, std::move(flight), std::move(box));
}

void PageDesk::ask(const std::string& key, std::unique_ptr<Flight> fresh, Box<TagPage> box) {
  if (stopping_) return box->answer(box, stopping());
  if (waiting_ >= options_.max_waiting) return box->answer(box, overloaded());
  // Questions outlive those who asked: they are bounded too.
  if (flights_.size() >= options_.max_waiting && !flights_.contains(key)) return box->answer(box, overloaded());
  ++waiting_;
  auto& flight = flights_[key];
  if (flight) {
    parts_.probe.joined_flight();
    flight->waiting.push_back(std::move(box));
    if (!flight->patient) wait_for(*flight, key);
    return;
  }
  flight = std::move(fresh);
  flight->waiting.push_back(std::move(box));
  wait_for(*flight, key);
  if (!flight->subject) return ask_upstream(key, *flight);
  const auto absent = parts_.index.find_absent(flight->source.canonical, api_reference(*flight->subject));
  const auto ttl = flight->source.upstream->options().tags.negative_ttl;
  if (still_absent(absent, ttl, parts_.clock.wall_now())) return ask_tags(key, *flight, std::nullopt);
  ask_upstream(key, *flight);
}

void PageDesk::ask_upstream(const std::string& key, Flight& flight) {
  Flight* raw = &flight;
  flight.retrier = std::make_unique<Retrier<upstream::TagPage>>(
      parts_.loop, *raw->source.upstream, options_.retry,
      [raw](upstream::Registry::Done<upstream::TagPage> done) {
        auto& upstream = *raw->source.upstream;
        if (raw->subject) return upstream.referrers(raw->source.repository, *raw->subject, raw->query, std::move(done));
        return upstream.list_tags(raw->source.repository, raw->query, std::move(done));
      },
      [this, key](upstream::Outcome<upstream::TagPage> outcome) { landed(key, std::move(outcome)); });
  flight.retrier->start();
}

void PageDesk::ask_tags(const std::string& key, Flight& flight, std::optional<Refusal> outage) {
  const bool reachable = !outage;
  flight.tagged = std::make_unique<TaggedReferrers>(
      parts_, manifests_, Target{flight.source.registry, flight.source.repository}, *flight.subject, flight.query,
      std::move(outage), [this, key, reachable, name = flight.source.registry](Outcome<TagPage> outcome) {
        // Upstream's 404 and an empty list may also mean that there is no such repository.
        const auto* page = std::get_if<TagPage>(&outcome);
        const bool some = page != nullptr && page->body != registry::referrers_body({});
        if (reachable && some) note_api(name, /*there=*/false);
        answer_all(key, std::move(outcome));
      });
  flight.tagged->start();
  wait_for(flight, key);
}

// Once upstream is down, whoever knows that its referrers are under tags can tell those that it holds.
void PageDesk::note_api(const std::string& registry, bool there) {
  const auto key = no_api_key(registry);
  if (parts_.index.store().find_state(key).has_value() == !there) return;
  parts_.index.commit({store::PutState{key, there ? "" : "404"}});
}

bool PageDesk::holds_tags(const Flight& flight) const {
  return !flight.subject && !parts_.index.store().list_tags(flight.source.canonical, "", 1).empty();
}

bool PageDesk::holds_referrers(const Flight& flight) const {
  if (!flight.subject || !parts_.index.store().find_state(no_api_key(flight.source.registry))) return false;
  const auto tags = TaggedReferrers::tags_of(*flight.subject);
  return std::any_of(tags.begin(), tags.end(),
                     [&](const auto& tag) { return parts_.index.find_tag(flight.source.canonical, tag).has_value(); });
}

// With tags in hand to tell instead, nobody waits for long.
void PageDesk::wait_for(Flight& flight, const std::string& key) {
  const bool holds = holds_tags(flight) || (!flight.tagged && holds_referrers(flight));
  const auto wait = holds ? flight.source.upstream->options().tags.revalidate_wait : options_.answer_wait;
  flight.patient = true;
  flight.patience = parts_.loop.schedule(wait, [this, key] { waited_long_enough(key); });
}

void PageDesk::waited_long_enough(const std::string& key) {
  const auto it = flights_.find(key);
  if (it == flights_.end()) return;
  auto& flight = *it->second;
  const upstream::Failure failure{upstream::Failure::Kind::timeout, 0, std::chrono::seconds(5),
                                  not_answered_yet(flight.source.registry, *flight.source.upstream)};
  if (!flight.tagged && holds_referrers(flight)) {
    flight.retrier.reset();
    return ask_tags(key, flight, explain(failure));
  }
  flight.patient = false;
  answer_failure(flight, failure);
}

void PageDesk::answer_failure(Flight& flight, const upstream::Failure& failure) {
  auto held = failure.kind == upstream::Failure::Kind::not_found ? std::nullopt : held_tags(flight);
  if (held) held->provenance.detail = failure.message;
  for (auto& box : std::exchange(flight.waiting, {})) {
    --waiting_;
    if (held) {
      box->answer(box, *held);
    } else {
      box->answer(box, explain(failure));
    }
  }
}

std::optional<TagPage> PageDesk::held_tags(const Flight& flight) const {
  const store::ReadWatch reads(parts_.index.store());
  if (!holds_tags(flight)) return std::nullopt;  // whatever the page: upstream's silence is not an empty list
  std::size_t limit = 1000;
  if (const auto n = registry::query_value(flight.query, "n")) {
    std::size_t wish = 0;
    const auto parsed = std::from_chars(n->data(), n->data() + n->size(), wish);
    if (parsed.ec == std::errc() && parsed.ptr == n->data() + n->size()) limit = std::min(limit, wish);
  }
  const auto last = registry::query_value(flight.query, "last").value_or("");
  const auto held = parts_.index.store().list_tags(flight.source.canonical, last, limit + 1);
  if (reads.failed()) return std::nullopt;  // perhaps not all
  registry::TagList list{flight.source.repository, {}};
  for (const auto& [tag, record] : held) {
    if (list.tags.size() < limit) list.tags.push_back(tag);
  }
  TagPage page;
  page.content_type = "application/json";
  page.body = registry::tag_list_body(list);
  if (held.size() > limit && limit > 0) page.next = base::format("n={}&last={}", limit, list.tags.back());
  page.provenance.kind = Provenance::Kind::stale;
  return page;
}

void PageDesk::landed(const std::string& key, upstream::Outcome<upstream::TagPage> outcome) {
  const auto it = flights_.find(key);
  if (it == flights_.end()) return;
  auto& flight = *it->second;
  if (flight.subject) return referrers_landed(key, flight, std::move(outcome));
  if (const auto* failure = std::get_if<upstream::Failure>(&outcome)) {
    answer_failure(flight, *failure);
    return answer_all(key, explain(*failure));  // nobody is left: ends the flight
  }
  auto& page = std::get<upstream::TagPage>(outcome);
  TagPage reply{std::move(page.body), std::move(page.content_type), std::move(page.next), std::move(page.headers), {}};
  reply.provenance.kind = Provenance::Kind::miss;
  answer_all(key, std::move(reply));
}

void PageDesk::referrers_landed(const std::string& key, Flight& flight, upstream::Outcome<upstream::TagPage> outcome) {
  const auto& source = flight.source;
  if (const auto* failure = std::get_if<upstream::Failure>(&outcome)) {
    if (says_no_api(*failure)) {
      const auto until = parts_.clock.wall_now() + source.upstream->options().tags.negative_ttl;
      parts_.index.commit({store::PutAbsent{source.canonical, api_reference(*flight.subject), until}});
      return ask_tags(key, flight, std::nullopt);
    }
    if (holds_referrers(flight)) return ask_tags(key, flight, explain(*failure));
    return answer_all(key, explain(*failure));
  }
  note_api(source.registry, /*there=*/true);
  auto& page = std::get<upstream::TagPage>(outcome);
  const bool filtered = is_filtered(page);
  TagPage reply{std::move(page.body), std::move(page.content_type), std::move(page.next), std::move(page.headers), {}};
  reply.provenance.kind = Provenance::Kind::miss;
  const auto type = registry::wanted_artifact_type(flight.query);
  if (type && !filtered) return filter(key, std::move(reply), *type);
  answer_all(key, std::move(reply));
}

// Upstream need not apply the filter, but then its clients have to read all; here it is always applied. On the pool:
// lists may have megabytes.
void PageDesk::filter(const std::string& key, TagPage page, const std::string& artifact_type) {
  parts_.disk.post(
      [page = std::move(page), artifact_type, key, &loop = parts_.loop, watch = life_.watch(), this]() mutable {
        if (auto body = registry::filter_referrers(page.body, artifact_type)) {
          page.body = std::move(*body);
          page.headers.emplace_back("OCI-Filters-Applied", "artifactType");
          if (!page.next.empty() && !registry::wanted_artifact_type(page.next)) {
            page.next += "&artifactType=" + registry::percent_encoded(artifact_type);
          }
        }
        loop.post([page = std::move(page), key, watch, this]() mutable {
          if (!watch.gone()) answer_all(key, std::move(page));
        });
      });
}

void PageDesk::answer_all(const std::string& key, Outcome<TagPage> outcome) {
  const auto it = flights_.find(key);
  if (it == flights_.end()) return;
  auto flight = std::move(it->second);
  flights_.erase(it);
  flight->patience.cancel();
  for (auto& box : std::exchange(flight->waiting, {})) {
    --waiting_;
    box->answer(box, outcome);
    auto* page = std::get_if<TagPage>(&outcome);
    if (page != nullptr && page->provenance.kind == Provenance::Kind::miss) {
      page->provenance.kind = Provenance::Kind::collapsed;
    }
  }
  parts_.loop.post([keep = std::shared_ptr<Flight>(std::move(flight))] {});  // we are inside one of its calls
}

void PageDesk::stop() {
  stopping_ = true;
  for (auto& [key, flight] : flights_) {
    for (auto& box : flight->waiting) box->answer(box, stopping());
  }
  flights_.clear();
  waiting_ = 0;
}

}  // namespace shoal::mirror
