#include <sys/random.h>

#include <array>
#include <cstdlib>
#include <deque>
#include <mutex>
#include <span>
#include <unordered_map>

#include "basic.h"
#include "shoal/auth/auth.h"
#include "shoal/base/digest.h"

namespace shoal::auth {

using Key = base::Digest;  // keyed hash of user and password: what is remembered tells nobody a password

struct Authenticator::State : std::enable_shared_from_this<State> {
  struct Remembered {
    std::string user;
    base::SteadyTime until;
    std::uint64_t number;
  };
  struct Waiter {
    base::Loop* loop;
    Done done;
  };
  struct Check {  // of one pair of user and password, for all who ask at the same time
    BasicCredentials credentials;
    std::vector<Waiter> waiters;
  };

  State(base::Executor& p, base::Clock& c, AuthenticatorOptions o) : pool(p), clock(c), options(o) {
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
  [[nodiscard]] const Remembered* recall(const Key& key) const {
    const auto found = remembered.find(key);
    return found != remembered.end() && clock.steady_now() < found->second.until ? &found->second : nullptr;
  }
  // All are remembered for the same time: the oldest one is the first to go, by age or by number.
  void remember(const Key& key, const std::string& user) {
    const auto now = clock.steady_now();
    if (options.max_remembered == 0) return;
    while (!order.empty()) {
      const auto oldest = remembered.find(order.front().first);
      const bool current = oldest != remembered.end() && oldest->second.number == order.front().second;
      if (current && now < oldest->second.until && order.size() < options.max_remembered) break;
      if (current) remembered.erase(oldest);
      order.pop_front();
    }
    remembered.insert_or_assign(key, Remembered{user, now + options.remember, ++last_number});
    order.emplace_back(key, last_number);
  }
  void forget_all() {
    remembered.clear();
    order.clear();
  }
  void start_checks() {
    while (running < options.max_running && !queue.empty()) {
      ++running;
      pool.post([self = shared_from_this(), key = queue.front()] { self->check(key); });
      queue.pop_front();
    }
  }

  void check(const Key& key);  // on the pool

  base::Executor& pool;
  base::Clock& clock;
  const AuthenticatorOptions options;
  std::array<unsigned char, 32> secret{};

  mutable std::mutex mutex;
  std::shared_ptr<const Htpasswd> users;  // shared with checks that began before a change
  std::unordered_map<Key, Remembered> remembered;
  std::deque<std::pair<Key, std::uint64_t>> order;  // of `remembered`, and some that were replaced
  std::uint64_t last_number = 0;
  std::unordered_map<Key, Check> checks;  // waiting and running
  std::deque<Key> queue;                  // of `checks`, not yet running
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
  bool good = false;
  for (;;) {
    const auto used = users;
    lock.unlock();
    good = used && used->verify(credentials.user, credentials.password);
    lock.lock();
    if (used == users) break;  // else they changed meanwhile: what counts is what is in force now
  }
  --running;
  const auto node = checks.extract(key);
  if (node.empty()) return;  // closed
  if (good) remember(key, credentials.user);
  start_checks();
  lock.unlock();
  for (auto& waiter : node.mapped().waiters) {
    waiter.loop->post([done = std::move(waiter.done), good, user = credentials.user]() mutable {
      if (good) {
        done(Identity{std::move(user)});
      } else {
        done(base::Error(base::ErrorKind::denied, "wrong user or password"));
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
  state_->forget_all();
}

std::unique_ptr<Identity> Authenticator::try_authenticate(std::string_view authorization) const {
  const auto credentials = parse_basic(authorization);
  if (!credentials) return nullptr;
  if (credentials->none()) return std::make_unique<Identity>();
  const Key key = state_->key_of(*credentials);
  const std::lock_guard lock(state_->mutex);
  const auto* known = state_->recall(key);
  return known != nullptr ? std::make_unique<Identity>(Identity{known->user}) : nullptr;
}

void Authenticator::authenticate(std::string authorization, base::Loop& loop, Done done) {
  const auto answer = [&loop, &done](base::Result<Identity> result) {
    loop.post([done = std::move(done), result = std::move(result)]() mutable { done(std::move(result)); });
  };
  auto credentials = parse_basic(authorization);
  if (!credentials) return answer(credentials.error());
  if (credentials->none()) return answer(Identity{});
  const Key key = state_->key_of(*credentials);
  std::unique_lock lock(state_->mutex);
  if (const auto* known = state_->recall(key)) return answer(Identity{known->user});
  if (const auto same = state_->checks.find(key); same != state_->checks.end()) {
    same->second.waiters.push_back({&loop, std::move(done)});
    return;
  }
  if (state_->checks.size() >= state_->options.max_waiting) {
    return answer(
        base::Error(base::ErrorKind::busy, "too many logins are being checked").retry_after(std::chrono::seconds(2)));
  }
  State::Check check{std::move(*credentials), {}};
  check.waiters.push_back({&loop, std::move(done)});
  state_->checks.emplace(key, std::move(check));
  state_->queue.push_back(key);
  state_->start_checks();
}

}  // namespace shoal::auth
