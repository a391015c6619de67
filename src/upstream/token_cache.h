// TokenCache: bearer tokens by key (realm, service, scope, credentials), and exactly one request in flight per key over
// all loops. Thread-safe. Who makes the request is TokenDesk's business.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "shoal/base/loop.h"
#include "shoal/registry/wire.h"
#include "shoal/upstream/upstream.h"

namespace shoal::upstream {

class TokenCache {
 public:
  static constexpr std::size_t kMaxEntries = 10'000;  // beyond, the expired and then all idle ones go
  using Ready = base::UniqueFunction<void(Outcome<std::string>)>;

  // Waits for a token; dropping it stops waiting. Made and dropped on one loop, where `ready` runs.
  class Wait {
   public:
    ~Wait() { waiter_->dropped = true; }
    Wait(const Wait&) = delete;
    Wait& operator=(const Wait&) = delete;

   private:
    friend class TokenCache;
    struct Waiter {
      base::Loop* loop;
      Ready ready;
      bool dropped = false;  // on `loop` only
    };
    explicit Wait(std::shared_ptr<Waiter> waiter) : waiter_(std::move(waiter)) {}
    std::shared_ptr<Waiter> waiter_;  // shared with the cache and the posted answer
  };

  struct Lookup {
    std::optional<std::string> token;  // use it
    bool request = false;              // the caller must have the request made, now in flight
  };
  // A token past 80 % of its life is used while one caller is told to renew it.
  [[nodiscard]] Lookup find(const std::string& key, base::SteadyTime now);
  // After a find() without a token.
  struct Entered {
    std::unique_ptr<Wait> wait;
    bool request = false;  // as above
  };
  [[nodiscard]] Entered wait(const std::string& key, base::Loop& loop, Ready ready);

  // The request's outcome: to the cache and to all who wait, each on its loop.
  void finish(const std::string& key, Outcome<registry::TokenReply> outcome, base::SteadyTime now);
  // Upstream refused it. Only that token: another loop may have renewed it already.
  void drop(const std::string& key, const std::string& token);
  void clear();

 private:
  struct Entry {
    std::string token;
    base::SteadyTime refresh_at{}, expires_at{};
    bool in_flight = false;
    std::vector<std::shared_ptr<Wait::Waiter>> waiters;
  };
  void make_room(base::SteadyTime now);

  std::mutex mutex_;
  std::map<std::string, Entry> entries_;
};

}  // namespace shoal::upstream
