#include "core.h"

#include <algorithm>

#include "roster.h"
#include "swarm_desk.h"

namespace shoal::p2p {
namespace {

constexpr std::chrono::seconds kRatesFor{1};
constexpr std::chrono::milliseconds kPatience{100};
constexpr std::size_t kMaxOutbox = 100'000;  // while no tracker answers; what does not fit is told again on request

}  // namespace

Site::Core::Core(SiteOptions o, const std::string& id, store::Store& s, base::Executor& p, base::Clock& c,
                 obs::Metrics& m, std::unique_ptr<Seal> sl)
    : options(std::move(o)),
      store(s),
      pool(p),
      clock(c),
      probe(m),
      seal(std::move(sl)),
      tracker(NodeInfo{id, options.url, options.zone, 0}, options.tracker),
      door(std::make_shared<DeskDoor>()),
      self_{id, options.url, options.zone, 0},
      view_(std::make_shared<const View>()),
      rate_plan_(options.swarm.rates) {}

Site::Core::~Core() = default;

NodeInfo Site::Core::self() const {
  const std::lock_guard lock(mutex);
  return self_;
}

void Site::Core::set_self_url(std::string url) {
  const std::lock_guard lock(mutex);
  self_.url = std::move(url);
}

void Site::Core::set_swarm_port(std::uint16_t port) {
  const std::lock_guard lock(mutex);
  self_.port = port;
}

std::shared_ptr<const View> Site::Core::view() const {
  const std::lock_guard lock(mutex);
  return view_;
}

void Site::Core::set_view(std::shared_ptr<const View> view) {
  const std::lock_guard lock(mutex);
  view_ = std::move(view);
}

base::Result<Advice> Site::Core::advise(const NodeInfo& node, const Want& want) {
  const auto now = clock.steady_now();
  const bool young = now.time_since_epoch().count() < knows_from.load(std::memory_order_relaxed);
  if (young && !view()->peers.empty()) {
    if (auto good = check(node); !good.ok()) return good.error();
    return Advice(Wait{kPatience});
  }
  return tracker.want(node, want, now);
}

void Site::Core::mark_dead(const std::string& id) {
  const std::lock_guard lock(mutex);
  const auto at = std::find(view_->ids.begin(), view_->ids.end(), id);
  if (at == view_->ids.end()) return;
  auto next = std::make_shared<View>(*view_);
  const auto index = at - view_->ids.begin();
  next->ids.erase(next->ids.begin() + index);
  next->urls.erase(next->urls.begin() + index);
  view_ = std::move(next);
}

void Site::Core::note_have(const base::Digest& digest, std::vector<std::string> asked) {
  const std::lock_guard lock(mutex);
  if (outbox_.have.size() < kMaxOutbox) outbox_.have.push_back({digest, std::move(asked)});
}

void Site::Core::note_gone(const base::Digest& digest, std::vector<std::string> asked) {
  const std::lock_guard lock(mutex);
  if (outbox_.gone.size() < kMaxOutbox) outbox_.gone.push_back({digest, std::move(asked)});
}

std::uint64_t Site::Core::hold_lease(const base::Digest& digest, std::function<void()> lost) {
  const auto now = clock.steady_now();
  const std::lock_guard lock(mutex);
  leases_.emplace(next_lease_, Lease{digest, now, std::move(lost)});
  return next_lease_++;
}

void Site::Core::renew_lease(std::uint64_t id) {
  const auto now = clock.steady_now();
  const std::lock_guard lock(mutex);
  if (const auto it = leases_.find(id); it != leases_.end()) it->second.progress = now;
}

void Site::Core::drop_lease(std::uint64_t id) {
  const std::lock_guard lock(mutex);
  leases_.erase(id);
}

std::vector<base::Digest> Site::Core::leases_in_use(base::SteadyTime now) const {
  std::vector<base::Digest> digests;
  const std::lock_guard lock(mutex);
  for (const auto& [id, lease] : leases_) {
    if (now - lease.progress < options.lease_patience) digests.push_back(lease.digest);
  }
  return digests;
}

std::set<base::Digest> Site::Core::leases() const {
  std::set<base::Digest> digests;
  const std::lock_guard lock(mutex);
  for (const auto& [id, lease] : leases_) digests.insert(lease.digest);
  return digests;
}

void Site::Core::lease_lost(const base::Digest& digest) {
  std::vector<std::function<void()>> lost;
  {
    const std::lock_guard lock(mutex);
    for (const auto& [id, lease] : leases_) {
      if (lease.digest == digest) lost.push_back(lease.lost);
    }
  }
  for (const auto& tell : lost) tell();
}

Rates Site::Core::rates() const {
  const auto now = clock.steady_now();
  const std::lock_guard lock(mutex);
  if (now >= rates_until_) {
    rates_ = rate_plan_.at(base::local_time(clock.wall_now()));
    rates_until_ = now + kRatesFor;
  }
  if (!clients_took_ || rates_.upload == 0) return rates_;
  return {clients_first_.left(rates_.upload, clients_took_(), now), rates_.download};
}

void Site::Core::set_rates(RatePlan plan) {
  const std::lock_guard lock(mutex);
  rate_plan_ = std::move(plan);
  rates_until_ = {};
}

void Site::Core::set_bans(std::vector<BannedNode> bans) {
  const std::lock_guard lock(mutex);
  bans_ = std::move(bans);
}

Site::Core::Outbox Site::Core::take_outbox() {
  const std::lock_guard lock(mutex);
  return std::exchange(outbox_, {});
}

}  // namespace shoal::p2p
