#include "shared_state.h"

#include <algorithm>

#include "judge.h"
#include "shoal/base/format.h"
#include "shoal/fetch/url.h"
#include "shoal/obs/log.h"

namespace shoal::upstream {
namespace {

using obs::Category;

constexpr std::chrono::minutes kTellEvery{10};      // clients can repeat such requests at will
constexpr std::chrono::seconds kLongRateLimit{10};  // shorter ones are ridden out
constexpr std::chrono::seconds kRateFor{1};         // looked up so often

// Is it time to tell of it again? `told`: when the log did last.
bool due(std::optional<base::WallTime>& told, base::WallTime now) {
  if (told && now >= *told && now - *told < kTellEvery) return false;
  told = now;
  return true;
}

}  // namespace

SharedState::SharedState(UpstreamOptions options, base::Clock& clock) : clock_(clock), queue_(options.max_fetches) {
  health_.set_urls(options.urls);
  options_ = std::make_shared<const UpstreamOptions>(std::move(options));
}

std::shared_ptr<const UpstreamOptions> SharedState::options() const {
  const std::lock_guard lock(mutex_);
  return options_;
}

void SharedState::set_options(UpstreamOptions options) {
  queue_.set_limit(options.max_fetches);
  const std::lock_guard lock(mutex_);
  const auto& a = options_->credentials;
  const auto& b = options.credentials;
  const bool same_credentials = a.username == b.username && a.password == b.password && a.bearer == b.bearer;
  if (!same_credentials || options_->urls != options.urls || options_->auth_realms != options.auth_realms ||
      options_->tls.ca_file != options.tls.ca_file || options_->tls.verify != options.tls.verify) {
    challenges_.clear();
    tokens_.clear();
    set_refused("");
  }
  health_.set_urls(options.urls);
  std::erase_if(told_down_, [&](const std::string& url) { return std::ranges::count(options.urls, url) == 0; });
  options_ = std::make_shared<const UpstreamOptions>(std::move(options));
}

std::uint64_t rate_at(const UpstreamOptions& options, base::LocalTime time) {
  const auto holds = [time](const auto& window) { return window.when.contains(time); };
  const auto window = std::find_if(options.windows.begin(), options.windows.end(), holds);
  return window != options.windows.end() ? window->max_rate : options.max_rate;
}

std::chrono::milliseconds SharedState::note_blob_bytes(std::size_t n) {
  body_bytes_.fetch_add(n, std::memory_order_relaxed);
  const auto now = clock_.steady_now();
  std::uint64_t rate = 0;
  {
    const std::lock_guard lock(rate_mutex_);
    if (now >= rate_until_) {
      rate_ = rate_at(*options(), base::local_time(clock_.wall_now()));
      rate_until_ = now + kRateFor;
    }
    rate = rate_;
  }
  return pacer_.passed(n, rate, now);
}

Health SharedState::health() const {
  const auto now = clock_.wall_now();
  const std::lock_guard lock(mutex_);
  auto health = health_.overall(now);
  health.refused = refused_;
  return health;
}

std::vector<UrlHealth> SharedState::url_health() const {
  const auto now = clock_.wall_now();
  const std::lock_guard lock(mutex_);
  std::vector<UrlHealth> out;
  for (const auto& url : options_->urls) out.push_back({url, health_.of(url, now)});
  return out;
}

UpstreamCounts SharedState::counts() const {
  UpstreamCounts counts;
  const auto read = [](const std::atomic<std::uint64_t>& n) { return n.load(std::memory_order_relaxed); };
  counts.requests = read(requests_);
  counts.token_requests = read(token_requests_);
  counts.failures = read(failures_);
  counts.status_2xx = read(status_classes_[2]);
  counts.status_3xx = read(status_classes_[3]);
  counts.status_4xx = read(status_classes_[4]);
  counts.status_5xx = read(status_classes_[5]);
  counts.status_429 = read(rate_limited_);
  counts.no_answer = read(no_answer_);
  counts.body_bytes = read(body_bytes_);
  counts.running_fetches = queue_.running();
  counts.waiting_fetches = queue_.waiting();
  return counts;
}

std::string SharedState::save_health() const {
  const std::lock_guard lock(mutex_);
  return health_.save();
}

void SharedState::load_health(std::string_view saved) {
  const auto now = clock_.wall_now();
  const std::lock_guard lock(mutex_);
  health_.load(saved, now);
}

std::vector<std::string> SharedState::url_order(const UpstreamOptions& options, unsigned source) const {
  std::vector<std::string> working, failing;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& url : options.urls) (health_.failing(url) ? failing : working).push_back(url);
  }
  auto& rotated = working.empty() ? failing : working;
  std::vector<std::string> out;
  for (std::size_t i = 0; i < rotated.size(); ++i) out.push_back(rotated[(source + i) % rotated.size()]);
  if (!working.empty()) out.insert(out.end(), failing.begin(), failing.end());
  return out;
}

std::optional<std::string> SharedState::claim_probe(const UpstreamOptions& options) {
  if (options.urls.size() < 2) return std::nullopt;  // calls are its probes
  const auto now = clock_.wall_now();
  const std::lock_guard lock(mutex_);
  for (const auto& url : options.urls) {
    if (health_.claim_probe(url, now)) return url;
  }
  return std::nullopt;
}

void SharedState::url_failed(const std::string& url, std::string_view why) {
  const auto now = clock_.wall_now();
  {
    const std::lock_guard lock(mutex_);
    health_.failed(url, why, now);
    if (!health_.failing(url) || !told_down_.insert(url).second) return;
  }
  obs::warn(Category::upstream, "{}; it fails time and again (`shoal status` shows how it is now)", why);
}

void SharedState::url_answered(const std::string& url) {
  const std::lock_guard lock(mutex_);
  health_.answered(url);
}

void SharedState::url_succeeded(const std::string& url) {
  std::string name;
  {
    const std::lock_guard lock(mutex_);
    health_.succeeded(url);
    if (told_down_.erase(url) == 0) return;
    name = options_->name;
  }
  obs::info(Category::upstream, "{} ({}): answers again", name, fetch::printable_url(url));
}

void SharedState::note_head(const fetch::ResponseHead& head) {
  const auto kind = static_cast<std::size_t>(head.status / 100);
  if (kind < status_classes_.size()) status_classes_[kind].fetch_add(1, std::memory_order_relaxed);
  if (kind == 2 && is_refused_.load(std::memory_order_relaxed)) {
    const std::lock_guard lock(mutex_);
    set_refused("");
  }
  if (head.status == 429) rate_limited_.fetch_add(1, std::memory_order_relaxed);
  const auto remaining = registry::parse_rate_limit(head.header("ratelimit-remaining"));
  const auto limit = registry::parse_rate_limit(head.header("ratelimit-limit"));
  if (!remaining && !limit && head.status != 429) return;
  const auto now = clock_.wall_now();
  const auto asked = head.status == 429 ? registry::parse_retry_after(head.header("retry-after"), now) : std::nullopt;
  const auto wait = std::min<std::chrono::seconds>(asked.value_or(std::chrono::seconds(0)), std::chrono::hours(24));
  std::string name;
  {
    const std::lock_guard lock(mutex_);
    health_.note_budget(remaining, limit);
    const bool known = health_.overall(now).rate_limited_until.has_value();
    if (asked) health_.note_rate_limited(now + wait);
    if (head.status != 429 || (wait >= kLongRateLimit ? known : !due(told_limited_, now))) return;
    name = options_->name;
  }
  const auto until = wait >= kLongRateLimit ? base::format("cached tags are served unasked for {} s", wait.count())
                     : asked                ? base::format("it wants to be left alone for {} s", wait.count())
                                            : std::string("it does not say for how long");
  obs::warn(Category::upstream, "{}: answered 429: its rate limit is reached; {}", name, until);
}

// Under the lock.
void SharedState::set_refused(std::string why) {
  is_refused_.store(!why.empty(), std::memory_order_relaxed);
  refused_ = std::move(why);
}

void SharedState::note_failure(const Failure& failure) {
  if (failure.kind != Failure::Kind::not_found) failures_.fetch_add(1, std::memory_order_relaxed);
  if (failure.kind != Failure::Kind::denied) return;
  const auto now = clock_.wall_now();
  bool has_credentials = false;
  {
    const std::lock_guard lock(mutex_);
    const auto& credentials = options_->credentials;
    has_credentials = !credentials.username.empty() || !credentials.bearer.empty();
    if (has_credentials) set_refused(failure.message);
    if (!due(told_denied_, now)) return;
  }
  // Without credentials it is the client's matter: it asked for what is private, or, at some registries, not there.
  obs::log(has_credentials ? obs::Level::warn : obs::Level::info, Category::upstream, "{}; {}", failure.message,
           has_credentials ? "check this upstream's credentials, and that they may read this repository"
                           : "no credentials are configured for this upstream");
}

std::optional<AuthChallenge> SharedState::challenge(const std::string& url) const {
  const std::lock_guard lock(mutex_);
  const auto found = challenges_.find(url);
  return found == challenges_.end() ? std::nullopt : std::optional(found->second);
}

void SharedState::learn_challenge(const std::string& url, AuthChallenge challenge) {
  const std::lock_guard lock(mutex_);
  challenges_.insert_or_assign(url, std::move(challenge));  // at most one per configured URL
}

void SharedState::forget_challenge(const std::string& url, const AuthChallenge& challenge) {
  const std::lock_guard lock(mutex_);
  const auto found = challenges_.find(url);
  if (found != challenges_.end() && found->second == challenge) challenges_.erase(found);
}

std::shared_ptr<UpstreamState> make_state(UpstreamOptions options, base::Clock& clock) {
  return std::make_shared<SharedState>(std::move(options), clock);
}

}  // namespace shoal::upstream
