#include <sys/random.h>

#include <array>
#include <cstdlib>
#include <mutex>
#include <span>
#include <unordered_map>

#include "basic.h"
#include "failure_book.h"
#include "login_queue.h"
#include "recent_keys.h"
#include "shoal/auth/auth.h"
#include "shoal/base/format.h"
#include "shoal/obs/log.h"

namespace shoal::auth {
namespace {

// Credentials that were good within that time are no guesses: they pass by those who wait, and by every limit.
constexpr std::chrono::hours kKnownFor{24};
constexpr std::chrono::seconds kSoon{2};

base::Error come_back(base::ErrorKind kind, std::string what, std::chrono::seconds wait) {
  return base::Error(kind, std::move(what)).retry_after(wait);
}

base::Error wrong() { return {base::ErrorKind::denied, "wrong user or password"}; }

}  // namespace

struct Authenticator::State : std::enable_shared_from_this<State> {
  struct Waiter {
    base::Loop* loop;
    Done done;
  };
  struct Check {  // of one pair of user and password, for all who ask at the same time
    BasicCredentials credentials;
    std::string source;  // who asked first
    std::vector<Waiter> waiters;
  };

  State(base::Executor& p, base::Clock& c, const AuthenticatorOptions& o) : pool(p), clock(c) {
    apply(o);
    if (::getrandom(secret.data(), secret.size(), 0) != static_cast<ssize_t>(secret.size())) std::abort();
  }

  [[nodiscard]] Key key_of(const BasicCredentials& credentials) const {
    base::Hasher hasher(base::HashAlgorithm::sha256);
    hasher.update(std::as_bytes(std::span(secret)));
    const std::uint64_t length = credentials.user.size();
    hasher.update(std::as_bytes(std::span(&length, 1)));
    hasher.update(credentials.user);
    hasher.update(credentials.password);
    return hasher.finish();
  }

  // --- with the mutex held ---
  void apply(const AuthenticatorOptions& o) {
    options = o;
    good.set_bounds(o.remember, o.max_remembered);
    bad.set_bounds(o.remember_failures, o.max_remembered);
    known.set_bounds(kKnownFor, o.max_remembered);
    failures.set_limit(o.max_failures_per_minute);
  }
  // Why a check of `source` cannot wait here. Whom it pushes out goes to `displaced`.
  [[nodiscard]] std::optional<base::Error> refuse(const std::string& source, std::vector<Waiter>& displaced) {
    if (const auto wait = failures.wait_for(source, clock.steady_now())) {
      return come_back(base::ErrorKind::full, base::format("too many wrong passwords from {}", source), *wait);
    }
    if (queue.waiting(source) >= options.max_waiting_per_source) {
      return come_back(base::ErrorKind::full, base::format("too many logins from {} are being checked", source), kSoon);
    }
    if (checks.size() < options.max_waiting) return std::nullopt;
    if (const auto key = queue.displace_for(source)) {
      displaced = std::move(checks.extract(*key).mapped().waiters);
      return std::nullopt;
    }
    return come_back(base::ErrorKind::busy, "too many logins are being checked", kSoon);
  }
  void learn(const Key& key, const Check& check, bool is_good) {
    const auto now = clock.steady_now();
    if (is_good) {
      good.remember(key, check.credentials.user, now);
      known.remember(key, {}, now);
      return;
    }
    bad.remember(key, {}, now);
    known.forget(key);
    const bool already = failures.wait_for(check.source, now).has_value();
    failures.failed(check.source, now);
    if (already || !failures.wait_for(check.source, now) || now < next_warning) return;
    next_warning = now + std::chrono::minutes(1);  // one who guesses must not write the log
    obs::warn(obs::Category::serve, "more than {} wrong passwords a minute from {}: it has to wait (auth.logins)",
              options.max_failures_per_minute, check.source);
  }
  void start_checks() {
    while (running < options.max_running) {
      const auto key = queue.pop();
      if (!key) return;
      ++running;
      pool.post([self = shared_from_this(), key = *key] { self->check(key); });
    }
  }

  void check(const Key& key);  // on the pool

  base::Executor& pool;
  base::Clock& clock;
  std::array<unsigned char, 32> secret{};

  mutable std::mutex mutex;
  std::shared_ptr<const Htpasswd> users;  // shared with checks that began before a change
  AuthenticatorOptions options;
  RecentKeys good, bad;
  RecentKeys known;  // good not long ago: no identity, but a place in front
  FailureBook failures;
  base::SteadyTime next_warning{};
  std::unordered_map<Key, Check> checks;  // waiting and running
  LoginQueue queue;                       // of `checks`, not yet running
  std::size_t running = 0;
};

void Authenticator::State::check(const Key& key) {
  std::unique_lock lock(mutex);
  const auto found = checks.find(key);
  if (found == checks.end()) {  // closed
    --running;
    return;
  }
  const BasicCredentials credentials = found->second.credentials;
  bool is_good = false;
  for (;;) {
    const auto used = users;
    lock.unlock();
    is_good = used && used->verify(credentials.user, credentials.password);
    lock.lock();
    if (used == users) break;  // else they changed meanwhile: what counts is what is in force now
  }
  --running;
  const auto node = checks.extract(key);
  if (node.empty()) return;  // closed
  learn(key, node.mapped(), is_good);
  start_checks();
  lock.unlock();
  for (auto& waiter : node.mapped().waiters) {
    waiter.loop->post([done = std::move(waiter.done), is_good, user = credentials.user]() mutable {
      if (is_good) {
        done(Identity{std::move(user)});
      } else {
        done(wrong());
      }
    });
  }
}

Authenticator::Authenticator(base::Executor& pool, base::Clock& clock, AuthenticatorOptions options)
    : state_(std::make_shared<State>(pool, clock, options)) {}

Authenticator::~Authenticator() {
  std::unordered_map<Key, State::Check> dropped;  // their callbacks go here, not on the pool
  const std::lock_guard lock(state_->mutex);
  dropped.swap(state_->checks);
  state_->queue.clear();
}

void Authenticator::set_users(std::shared_ptr<const Htpasswd> users) {
  const std::lock_guard lock(state_->mutex);
  state_->users = std::move(users);
  state_->good.clear();
  state_->bad.clear();
}

void Authenticator::set_options(const AuthenticatorOptions& options) {
  const std::lock_guard lock(state_->mutex);
  state_->apply(options);
}

std::unique_ptr<Identity> Authenticator::try_authenticate(std::string_view authorization) const {
  const auto credentials = parse_basic(authorization);
  if (!credentials) return nullptr;
  if (credentials->none()) return std::make_unique<Identity>();
  const Key key = state_->key_of(*credentials);
  const std::lock_guard lock(state_->mutex);
  const auto* user = state_->good.find(key, state_->clock.steady_now());
  return user != nullptr ? std::make_unique<Identity>(Identity{*user}) : nullptr;
}

void Authenticator::authenticate(std::string authorization, std::string_view ip, base::Loop& loop, Done done) {
  const auto answer = [](State::Waiter waiter, base::Result<Identity> result) {
    waiter.loop->post(
        [done = std::move(waiter.done), result = std::move(result)]() mutable { done(std::move(result)); });
  };
  State::Waiter waiter{&loop, std::move(done)};
  auto credentials = parse_basic(authorization);
  if (!credentials) return answer(std::move(waiter), credentials.error());
  if (credentials->none()) return answer(std::move(waiter), Identity{});
  const Key key = state_->key_of(*credentials);
  const auto source = source_of(ip);
  std::vector<State::Waiter> displaced;
  {
    const std::lock_guard lock(state_->mutex);
    const auto now = state_->clock.steady_now();
    if (const auto* user = state_->good.find(key, now)) return answer(std::move(waiter), Identity{*user});
    if (state_->bad.find(key, now) != nullptr) return answer(std::move(waiter), wrong());
    if (const auto same = state_->checks.find(key); same != state_->checks.end()) {
      same->second.waiters.push_back(std::move(waiter));
      return;
    }
    const bool known = state_->known.find(key, now) != nullptr;
    if (!known) {
      if (auto refused = state_->refuse(source, displaced)) return answer(std::move(waiter), std::move(*refused));
    }
    auto& check = state_->checks[key];
    check.credentials = std::move(*credentials);
    check.source = source;
    check.waiters.push_back(std::move(waiter));
    known ? state_->queue.push_known(key) : state_->queue.push(source, key);
    state_->start_checks();
  }
  for (auto& pushed_out : displaced) {
    answer(std::move(pushed_out), come_back(base::ErrorKind::busy, "too many logins are being checked", kSoon));
  }
}

}  // namespace shoal::auth
