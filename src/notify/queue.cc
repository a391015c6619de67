#include "queue.h"

#include <strings.h>

#include <algorithm>

#include "record.h"
#include "shoal/obs/log.h"

namespace shoal::notify {
namespace {

using obs::Category;

constexpr std::size_t kMaxBody = 256 * 1024;  // of a request, counted in bytes on disk

fetch::Request make_request(const EndpointOptions& options, Body body) {
  fetch::Request request;
  request.method = "POST";
  request.url = options.url;
  const bool typed = std::any_of(options.headers.begin(), options.headers.end(), [](const auto& header) {
    return ::strcasecmp(header.first.c_str(), "Content-Type") == 0;
  });
  if (!typed) request.headers.emplace_back("Content-Type", body.content_type);
  request.headers.insert(request.headers.end(), options.headers.begin(), options.headers.end());
  if (!options.secret.empty()) {
    request.headers.emplace_back("X-Shoal-Signature", signature(options.secret, body.text));
  }
  request.body = std::move(body.text);
  request.connect_timeout = options.timeout;
  request.first_byte_timeout = options.timeout;
  request.stall_timeout = options.timeout;
  request.max_redirects = 0;  // a POST would become a GET
  request.tls = options.tls;
  return request;
}

}  // namespace

Queue::Queue(std::string directory, Source source, base::Clock& clock, std::shared_ptr<Board> board,
             std::shared_ptr<EndpointProbe> probe)
    : source_(std::move(source)),
      clock_(clock),
      board_(std::move(board)),
      probe_(std::move(probe)),
      journal_(directory),
      dead_(directory) {}

base::Result<void> Queue::open() {
  if (auto opened = journal_.open(); !opened) return opened;
  if (auto opened = dead_.open(); !opened) return opened;
  if (journal_.cut_bytes() > 0) {
    obs::warn(Category::notify, "endpoint {}: {} bytes at the end of its queue were not whole and are gone",
              board_->status().name, journal_.cut_bytes());
  }
  refresh();
  return {};
}

void Queue::set_options(std::shared_ptr<const EndpointOptions> options, const std::string& source) {
  options_ = std::move(options);
  source_.name = source;
}

void Queue::offer(std::span<const obs::Event> events) {
  std::vector<obs::Event> wanted;
  for (const auto& event : events) {
    if (takes(*options_, event)) wanted.push_back(event);
  }
  if (wanted.empty()) return;
  const auto taken = append(wanted);
  if (!taken) {
    disk_failed(taken.error());
    tell_dropped(wanted.size(), taken.error().message());
  } else {
    failing_ = false;
    if (*taken > 0 && std::exchange(dropping_, false)) {
      obs::info(Category::notify, "endpoint {}: its queue takes events again", options_->name);
    }
    if (*taken < wanted.size()) tell_dropped(wanted.size() - *taken, "its queue is full (queue_size)");
  }
  refresh();
}

void Queue::refuse(std::span<const obs::Event> events) {
  const auto n =
      std::count_if(events.begin(), events.end(), [this](const obs::Event& event) { return takes(*options_, event); });
  if (n > 0) tell_dropped(static_cast<std::size_t>(n), "its queue could not be opened");
}

base::Result<std::size_t> Queue::append(std::span<const obs::Event> events) {
  std::vector<std::string> payloads;
  payloads.reserve(events.size());
  const auto now = clock_.wall_now();
  for (const auto& event : events) payloads.push_back(encode(Queued{now, event}));
  return journal_.append(payloads, options_->queue_bytes);
}

void Queue::tell_dropped(std::size_t n, const std::string& why) {
  probe_->dropped(n);
  board_->edit([n](EndpointStatus& status) { status.dropped += n; });
  if (std::exchange(dropping_, true)) return;
  obs::warn(Category::notify, "endpoint {}: new events are dropped: {}", options_->name, why);
}

void Queue::disk_failed(const base::Error& error) {
  if (std::exchange(failing_, true)) return;
  obs::error(Category::notify, "endpoint {}: {}", options_->name, error.message());
}

std::unique_ptr<Parcel> Queue::pack(std::size_t most) {
  most = std::clamp<std::size_t>(options_->batch, 1, std::max<std::size_t>(1, most));
  auto parcel = std::make_unique<Parcel>();
  parcel->options = options_;
  do {
    packed_.clear();
    const auto records = journal_.peek(most, kMaxBody);
    if (!records) disk_failed(records.error());
    if (!records || records->empty()) return nullptr;
    for (const auto& record : *records) {
      auto queued = decode_queued(record);
      if (!queued) break;
      parcel->queued.push_back(queued->at);
      packed_.push_back(std::move(queued->event));
    }
    if (packed_.empty()) {  // whole, but of a version we do not know
      obs::warn(Category::notify, "endpoint {}: an event in its queue cannot be read and is skipped", options_->name);
      delivered(1);
    }
  } while (packed_.empty());
  auto body = make_body(*options_, packed_, source_);
  parcel->request = make_request(*options_, std::move(body));
  return parcel;
}

void Queue::delivered(std::size_t n) {
  if (const auto done = journal_.ack(n); !done) disk_failed(done.error());
  packed_.erase(packed_.begin(), packed_.begin() + static_cast<std::ptrdiff_t>(std::min(n, packed_.size())));
  refresh();
}

bool Queue::bury(std::size_t n, const std::string& reason, unsigned attempts) {
  n = std::min(n, packed_.size());
  std::vector<std::string> payloads;
  const auto now = clock_.wall_now();
  for (std::size_t i = 0; i < n; ++i) payloads.push_back(encode(Dead{now, attempts, reason, packed_[i]}));
  if (const auto added = dead_.add(payloads, options_->dead_letters); !added) {
    disk_failed(added.error());
    return false;
  }
  probe_->buried(n);
  board_->edit([n](EndpointStatus& status) { status.dead += n; });
  delivered(n);
  return true;
}

void Queue::sync() {
  if (const auto synced = journal_.sync(); !synced) disk_failed(synced.error());
}

base::Result<std::vector<DeadLetter>> Queue::list_dead(std::size_t limit) const {
  const auto payloads = dead_.read();
  if (!payloads) return payloads.error();
  std::vector<DeadLetter> letters;
  for (auto payload = payloads->rbegin(); payload != payloads->rend() && letters.size() < limit; ++payload) {
    if (const auto dead = decode_dead(*payload)) {
      letters.push_back({dead->at, dead->attempts, dead->reason, event_text(dead->event, source_)});
    }
  }
  return letters;
}

base::Result<std::size_t> Queue::retry_dead() {
  const auto payloads = dead_.read();
  if (!payloads) return payloads.error();
  std::vector<obs::Event> events;
  for (const auto& payload : *payloads) {
    if (auto dead = decode_dead(payload)) events.push_back(std::move(dead->event));
  }
  const auto taken = append(events);
  if (!taken) return taken.error();
  // Durable there before it goes here. A crash between: in both, delivered twice at worst.
  if (const auto synced = journal_.sync(); !synced) return synced.error();
  std::vector<std::string> rest;
  if (*taken < events.size())
    rest.assign(payloads->end() - static_cast<std::ptrdiff_t>(events.size() - *taken), payloads->end());
  if (const auto replaced = dead_.replace(rest); !replaced) return replaced.error();
  refresh();
  return *taken;
}

void Queue::refresh() {
  probe_->holds(journal_.records(), journal_.bytes(), dead_.count());
  board_->edit([this](EndpointStatus& status) {
    status.pending = journal_.records();
    status.pending_bytes = journal_.bytes();
    status.dead_letters = dead_.count();
  });
}

}  // namespace shoal::notify
