#include "ticket.h"

#include <algorithm>

#include "call.h"
#include "rendezvous.h"
#include "wire.h"

namespace shoal::p2p {
namespace {

constexpr std::size_t kAsked = 3;  // candidates, one after the other
constexpr std::size_t kMostTold = 16;
constexpr std::chrono::milliseconds kUnsettled{50};

std::string_view word_of(const Advice& advice) {
  if (std::holds_alternative<Fetch>(advice)) return "fetch";
  return std::holds_alternative<Wait>(advice) ? "wait" : "follow";
}

}  // namespace

SiteTicket::SiteTicket(Site::Core& core, base::Loop& loop, fetch::Client& client, const base::Digest& digest,
                       std::optional<std::uint64_t> size, base::UniqueFunction<void()> lost)
    : core_(core),
      loop_(loop),
      client_(client),
      digest_(digest),
      size_(size),
      lost_(std::make_shared<base::UniqueFunction<void()>>(std::move(lost))) {}

SiteTicket::~SiteTicket() {
  let_go();
  if (!complete_ && !told_.empty()) core_.note_gone(digest_, std::move(told_));
}

void SiteTicket::ask(std::vector<std::string> avoid, base::UniqueFunction<void(Answer)> done) {
  avoid_ = std::move(avoid);
  if (avoid_.size() > kMaxAvoid) avoid_.resize(kMaxAvoid);
  done_ = std::move(done);
  last_error_ = "no neighbour is known";
  asked_ = loop_.now();
  consider();
}

void SiteTicket::consider() {
  const auto view = core_.view();
  if (!view->settled && loop_.now() - asked_ < core_.options.call_timeout) {
    // Just started: the trackers will have answered in a moment.
    timer_ = loop_.schedule(kUnsettled, [this] { consider(); });
    return;
  }
  candidates_.clear();
  for (const auto index : ranked(view->ids, digest_, kAsked)) {
    candidates_.emplace_back(view->ids[index], view->urls[index]);
  }
  std::reverse(candidates_.begin(), candidates_.end());
  timer_ = loop_.schedule(std::chrono::milliseconds(0), [this] { ask_next(); });
}

void SiteTicket::ask_next() {
  if (candidates_.empty()) {
    core_.probe.advised("alone");
    return answer({Fetch{}, last_error_});
  }
  const auto [id, url] = candidates_.back();
  candidates_.pop_back();
  if (id == core_.self().id) return ask_own_tracker();
  const WantCall message{core_.self(), {digest_, size_, avoid_}};
  told(id);
  call_ = call(core_, client_, "POST", url, std::string(kWantPath), to_json(message), kMaxAnswer, Covers::body,
               [this, id = id](base::Result<fetch::Client::Reply> reply) {
                 if (!reply.ok()) return heard(id, reply.error());
                 heard(id, parse_advice(reply->body));
               });
}

void SiteTicket::told(const std::string& id) {
  const bool known = std::find(told_.begin(), told_.end(), id) != told_.end();
  if (!known && told_.size() < kMostTold) told_.push_back(id);
}

void SiteTicket::ask_own_tracker() {
  told(core_.self().id);
  heard("", core_.advise(core_.self(), {digest_, size_, avoid_}));
}

void SiteTicket::heard(const std::string& id, base::Result<Advice> advice) {
  if (!advice.ok()) {
    core_.probe.tracker_failed("want");
    last_error_ = "no tracker answers: " + advice.error().message();
    if (!id.empty()) core_.mark_dead(id);
    return ask_next();
  }
  core_.probe.advised(id.empty() && core_.view()->deserted ? std::string_view("alone") : word_of(*advice));
  if (std::holds_alternative<Fetch>(*advice)) {
    hold();
  } else {
    let_go();
  }
  answer({std::move(*advice), {}});
}

void SiteTicket::answer(Answer answer) {
  if (done_) std::exchange(done_, nullptr)(std::move(answer));
}

void SiteTicket::hold() {
  if (lease_ != 0) return core_.renew_lease(lease_);
  lease_ = core_.hold_lease(digest_, [loop = &loop_, weak = std::weak_ptr(lost_)] {
    loop->post([weak] {
      if (const auto lost = weak.lock(); lost != nullptr && *lost) (*lost)();
    });
  });
}

void SiteTicket::let_go() {
  if (lease_ != 0) core_.drop_lease(std::exchange(lease_, 0));
}

void SiteTicket::progress() {
  if (lease_ != 0) core_.renew_lease(lease_);
}

void SiteTicket::complete() {
  complete_ = true;
  let_go();
  core_.note_have(digest_, std::move(told_));
}

}  // namespace shoal::p2p
