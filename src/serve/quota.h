// QuotaBook: how much the repositories of each quota hold, one account for the whole process. An account is what was
// measured (on the pool, one measurement at a time whoever waits for it), what was stored since that began, and what is
// promised to pushes under way. So it is never below what is really there, and parallel pushes cannot pass a quota;
// what is stored while a measurement runs may count twice until the next one. A refusal is only given on figures that
// are younger than the request. Any thread.
#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "shoal/base/clock.h"
#include "shoal/base/unique_function.h"
#include "shoal/serve/hosted.h"
#include "shoal/store/store.h"

namespace shoal::serve {

// The first quota that a repository falls under; null: none.
[[nodiscard]] const Quota* quota_of(const HostedOptions& options, std::string_view repository);
// Of all repositories that fall under it. Walks them: on the pool. ErrorKind::gone: the index cannot be read.
[[nodiscard]] base::Result<std::uint64_t> measure_quota(const store::Hosted& hosted, const HostedOptions& options,
                                                        const Quota& quota);

class QuotaBook {
 public:
  enum class Answer {
    granted,
    refused,
    measure,  // the caller has to: measured() or not_measured() must follow; then ask again
    wait,     // somebody measures: `waiter` is kept, and run when to ask again
  };
  struct Asked {
    Answer answer;
    std::uint64_t used = 0;  // by others; with refused
  };
  using Waiter = base::UniqueFunction<void()>;  // on any thread

  // `bytes` in all for the push `key` (an upload session, or new_key()). `since`: when its request began to ask.
  [[nodiscard]] Asked ask(const Quota& quota, const std::string& key, std::uint64_t bytes, base::SteadyTime since,
                          base::SteadyTime now, Waiter waiter);
  // `first` runs before those who came later and waited.
  void measured(const std::string& pattern, std::uint64_t bytes, Waiter first = nullptr);
  void not_measured(const std::string& pattern);
  void stored(const std::string& pattern, const std::string& key);  // its bytes are a repository's now
  void drop(const std::string& pattern, const std::string& key);    // it will not come to that
  // No request is at the push for now: the promise holds until a measurement that begins after `until`.
  void rest(const std::string& pattern, const std::string& key, base::SteadyTime until);
  [[nodiscard]] std::string new_key();

 private:
  struct Promise {
    std::uint64_t bytes = 0;
    std::optional<base::SteadyTime> resting_until;
  };
  struct Account {
    bool known = false, measuring = false;
    std::uint64_t measured = 0;
    std::uint64_t stored = 0;            // since the measurement began
    std::uint64_t stored_before = 0;     // of those, before the one that runs began
    base::SteadyTime began{}, begins{};  // the last measurement; the one that runs
    std::uint64_t promised = 0;          // the sum of:
    std::map<std::string, Promise> promises;
    std::vector<Waiter> waiters;
  };
  void forget(Account& account, const std::string& key);
  void end_measuring(Account& account, std::vector<Waiter>& waiters);

  std::mutex mutex_;
  std::map<std::string, Account> accounts_;  // by pattern
  std::uint64_t keys_ = 0;
};

}  // namespace shoal::serve
