#include "page_desk.h"

#include <charconv>

#include "explain.h"
#include "shoal/base/format.h"
#include "shoal/registry/wire.h"

namespace shoal::mirror {

struct PageDesk::Flight {
  FillSource source;
  std::string query;
  std::optional<base::Digest> subject;  // of referrers; absent: tags
  std::unique_ptr<Retrier<upstream::TagPage>> retrier;
  std::vector<Box<TagPage>> waiting;
  base::Timer patience;
  bool patient = false;
};

PageDesk::PageDesk(const DeskParts& parts, const MirrorOptions& options) : parts_(parts), options_(options) {}
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
  Flight* raw = flight.get();
  flight->retrier = std::make_unique<Retrier<upstream::TagPage>>(
      parts_.loop, *raw->source.upstream, options_.retry,
      [raw](upstream::Registry::Done<upstream::TagPage> done) {
        auto& upstream = *raw->source.upstream;
        if (raw->subject) return upstream.referrers(raw->source.repository, *raw->subject, raw->query, std::move(done));
        return upstream.list_tags(raw->source.repository, raw->query, std::move(done));
      },
      [this, key](upstream::Outcome<upstream::TagPage> outcome) { landed(key, std::move(outcome)); });
  flight->retrier->start();
}

bool PageDesk::holds_tags(const Flight& flight) const {
  return !flight.subject && !parts_.index.store().list_tags(flight.source.canonical, "", 1).empty();
}

// With tags in hand to tell instead, nobody waits for long.
void PageDesk::wait_for(Flight& flight, const std::string& key) {
  const auto wait = holds_tags(flight) ? flight.source.upstream->options().tags.revalidate_wait : options_.answer_wait;
  flight.patient = true;
  flight.patience = parts_.loop.schedule(wait, [this, key] { waited_long_enough(key); });
}

void PageDesk::waited_long_enough(const std::string& key) {
  const auto it = flights_.find(key);
  if (it == flights_.end()) return;
  it->second->patient = false;
  answer_failure(*it->second, {upstream::Failure::Kind::timeout, 0, std::chrono::seconds(5),
                               not_answered_yet(it->second->source.registry, *it->second->source.upstream)});
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
  if (!holds_tags(flight)) return std::nullopt;  // whatever the page: upstream's silence is not an empty list
  std::size_t limit = 1000;
  if (const auto n = registry::query_value(flight.query, "n")) {
    std::size_t wish = 0;
    const auto parsed = std::from_chars(n->data(), n->data() + n->size(), wish);
    if (parsed.ec == std::errc() && parsed.ptr == n->data() + n->size()) limit = std::min(limit, wish);
  }
  const auto last = registry::query_value(flight.query, "last").value_or("");
  const auto held = parts_.index.store().list_tags(flight.source.canonical, last, limit + 1);
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
  auto flight = std::move(it->second);
  flights_.erase(it);
  flight->patience.cancel();
  if (const auto* failure = std::get_if<upstream::Failure>(&outcome)) {
    answer_failure(*flight, *failure);
  } else {
    const auto& page = std::get<upstream::TagPage>(outcome);
    TagPage reply{page.body, page.content_type, page.next, page.headers, {}};
    reply.provenance.kind = Provenance::Kind::miss;
    for (auto& box : std::exchange(flight->waiting, {})) {
      --waiting_;
      box->answer(box, reply);
      reply.provenance.kind = Provenance::Kind::collapsed;
    }
  }
  parts_.loop.post([keep = std::shared_ptr<Flight>(std::move(flight))] {});  // we are inside its retrier's call
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
