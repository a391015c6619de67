// SharedState: UpstreamState as this module sees it. Any thread. TokenDesk inside it belongs to the home loop.
#pragma once

#include <array>
#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <set>

#include "fetch_queue.h"
#include "health_book.h"
#include "shoal/base/pacer.h"
#include "shoal/upstream/auth.h"
#include "shoal/upstream/state.h"
#include "token_cache.h"

namespace shoal::upstream {

class SharedState final : public UpstreamState {
 public:
  SharedState(UpstreamOptions options, base::Clock& clock);

  [[nodiscard]] std::shared_ptr<const UpstreamOptions> options() const override;
  void set_options(UpstreamOptions options) override;
  [[nodiscard]] Health health() const override;
  [[nodiscard]] std::vector<UrlHealth> url_health() const override;
  [[nodiscard]] UpstreamCounts counts() const override;
  [[nodiscard]] std::string save_health() const override;
  void load_health(std::string_view saved) override;

  // URLs to try, in order: those that work, rotated by `source`, then those that fail.
  [[nodiscard]] std::vector<std::string> url_order(const UpstreamOptions& options, unsigned source) const;
  // One of several URLs that has failed and is due for a look; the caller looks.
  [[nodiscard]] std::optional<std::string> claim_probe(const UpstreamOptions& options);
  void url_failed(const std::string& url, std::string_view why);
  void url_answered(const std::string& url);
  void url_succeeded(const std::string& url);

  void note_request() { requests_.fetch_add(1, std::memory_order_relaxed); }
  void note_token_request() { token_requests_.fetch_add(1, std::memory_order_relaxed); }
  void note_head(const fetch::ResponseHead& head);  // budget, 429, status counts
  void note_no_answer() { no_answer_.fetch_add(1, std::memory_order_relaxed); }
  void note_failure(const Failure& failure);
  // ... that arrived: how long to take no more, so that all fetches together keep to max_rate.
  [[nodiscard]] std::chrono::milliseconds note_blob_bytes(std::size_t n);

  [[nodiscard]] std::optional<AuthChallenge> challenge(const std::string& url) const;
  void learn_challenge(const std::string& url, AuthChallenge challenge);
  void forget_challenge(const std::string& url, const AuthChallenge& challenge);  // if it is still that one

  [[nodiscard]] TokenCache& tokens() { return tokens_; }
  [[nodiscard]] FetchQueue& queue() { return queue_; }
  [[nodiscard]] base::Clock& clock() { return clock_; }

  // Home loop: has the token requests made. Any thread may call request_token.
  void set_home(base::Loop& home, fetch::Client& client);
  void request_token(TokenWant want);
  static void drop(std::shared_ptr<SharedState> state);  // see drop_state()
  void close_home();  // on the home loop, before its client goes: running requests end, later ones fail

 private:
  void set_refused(std::string why);
  void ask_for_token(TokenWant want);  // on the home loop
  void token_reply(const TokenWant& want, base::Result<fetch::Client::Reply> reply);

  base::Clock& clock_;
  mutable std::mutex mutex_;                        // options, health, challenges, home
  std::shared_ptr<const UpstreamOptions> options_;  // shared with running calls
  HealthBook health_;
  std::string refused_;                  // see Health
  std::atomic<bool> is_refused_{false};  // refused_ is not empty
  std::set<std::string> told_down_;      // URLs whose failing is in the log, until they answer again
  std::optional<base::WallTime> told_denied_, told_limited_;  // when the log last told of a refusal, of a short 429
  std::map<std::string, AuthChallenge> challenges_;
  base::Loop* home_ = nullptr;
  fetch::Client* home_client_ = nullptr;  // null: closed. Written under the mutex, used on the home loop

  std::mutex rate_mutex_;
  std::uint64_t rate_ = 0;  // under it, as rate_until_
  base::SteadyTime rate_until_{};
  base::Pacer pacer_;

  TokenCache tokens_;
  FetchQueue queue_;
  std::map<std::string, fetch::Transfer> token_requests_running_;  // home loop only

  std::atomic<std::uint64_t> requests_{0}, token_requests_{0}, failures_{0}, no_answer_{0}, body_bytes_{0};
  std::atomic<std::uint64_t> rate_limited_{0};
  std::array<std::atomic<std::uint64_t>, 6> status_classes_{};
};

}  // namespace shoal::upstream
