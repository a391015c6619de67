// The node as the admin API sees it.
#include "node.h"

namespace shoal::app {
namespace {

constexpr std::chrono::seconds kStuckAfter{10};

}  // namespace

std::string Node::stuck_loop() const {
  for (const auto& worker : workers_) {
    if (const auto silent = worker->since_beat(); silent > kStuckAfter) {
      return base::format("event loop {} has not turned for {} s", worker->loop().index(), silent.count() / 1000);
    }
  }
  return {};
}

std::vector<std::string> Node::addresses() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::string> texts;
  for (const auto& address : listening_) texts.push_back(address.to_string());
  return texts;
}

std::size_t Node::connections() const {
  std::size_t sum = 0;
  for (const auto& worker : workers_) sum += worker->connections();
  return sum;
}

std::vector<std::shared_ptr<upstream::UpstreamState>> Node::upstreams() const { return states_->all(); }

std::string Node::url() const {
  const std::lock_guard lock(mutex_);
  if (listening_.empty()) return {};
  auto address = listening_.front();
  if (address.ip == "0.0.0.0") address.ip = "127.0.0.1";
  if (address.ip == "::") address.ip = "::1";
  return (tls_ ? "https://" : "http://") + address.to_string();
}

std::optional<p2p::SiteStatus> Node::site() const {
  if (!site_) return std::nullopt;
  return site_->status();
}

void Node::swarms(base::UniqueFunction<void(std::vector<p2p::SwarmStatus>)> done) const {
  site_ ? site_->swarms(std::move(done)) : done({});
}

std::string Node::config_text() const {
  const std::lock_guard lock(mutex_);
  return config_text_;
}

void Node::collect_garbage(admin::GcRequest request, base::UniqueFunction<void(base::Result<admin::GcOutcome>)> done) {
  auto options = garbage_->options();
  options.dry_run = request.dry_run;
  options.untagged = options.untagged || request.untagged;
  garbage_->run(options, std::move(done));
}

void Node::foresee_garbage(std::string repository, store::Supposed gone, bool untagged,
                           base::UniqueFunction<void(base::Result<admin::GcForecast>)> done) {
  auto options = garbage_->options();
  const bool own = options.untagged;
  options.untagged = own || untagged;
  options.only = std::move(repository);
  options.suppose = [gone = std::move(gone)](const std::string&) -> base::Result<store::Supposed> { return gone; };
  garbage_->foresee(std::move(options),
                    [own, done = std::move(done)](base::Result<admin::GcForecast> forecast) mutable {
                      if (forecast) forecast->untagged = own;
                      done(std::move(forecast));
                    });
}

store::ScrubReport Node::scrub(std::uint64_t bytes, admin::ScrubFrom from) { return scrubbing_->step(bytes, from); }

std::uint64_t Node::scrub_rate() const { return scrubbing_->rate(); }

void Node::reload(base::UniqueFunction<void(admin::ReloadReport)> done) {
  wakeups_.post([this, done = std::move(done)]() mutable { done(reload_now()); });
}

}  // namespace shoal::app
