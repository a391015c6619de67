#include "quota.h"

#include <utility>

#include "shoal/base/format.h"
#include "shoal/registry/pattern.h"

namespace shoal::serve {
namespace {

constexpr std::chrono::seconds kLookAgain{10};
constexpr std::size_t kSlice = 1000;

}  // namespace

const Quota* quota_of(const HostedOptions& options, std::string_view repository) {
  for (const auto& quota : options.quotas) {
    if (registry::matches(quota.repositories, repository)) return &quota;
  }
  return nullptr;
}

base::Result<std::uint64_t> measure_quota(const store::Hosted& hosted, const HostedOptions& options,
                                          const Quota& quota) {
  std::uint64_t bytes = 0;
  std::string last;
  for (;;) {
    const auto names = hosted.read_hosted(last, kSlice);
    if (!names) return names.error();
    for (const auto& name : *names) {
      const auto* its = quota_of(options, name);
      if (its == nullptr || its->repositories != quota.repositories) continue;
      const auto repository = hosted.measure(name);
      if (!repository) return repository.error();
      bytes += repository->bytes;
    }
    if (names->size() < kSlice) return bytes;
    last = names->back();
  }
}

QuotaBook::Asked QuotaBook::ask(const Quota& quota, const std::string& key, std::uint64_t bytes, base::SteadyTime since,
                                base::SteadyTime now, Waiter waiter) {
  const std::lock_guard lock(mutex_);
  auto& account = accounts_[quota.repositories];
  const auto own = account.promises.find(key);
  const auto held = own == account.promises.end() ? 0 : own->second.bytes;
  const auto used = account.measured + account.stored + account.promised - held;
  if (own != account.promises.end() && bytes <= held) {
    own->second.resting_until.reset();
    return {Answer::granted};
  }
  // Figures that are younger than the request serve it whatever they cost: else a measurement that takes longer than
  // they are good for would be followed by the next one, for ever.
  if (account.known && (account.began >= since || now - account.began < kLookAgain)) {
    if (used <= quota.bytes && bytes <= quota.bytes - used) {
      auto& promise = account.promises[key];
      promise.resting_until.reset();
      promise.bytes = bytes;
      account.promised += bytes - held;
      return {Answer::granted};
    }
    if (account.began >= since) return {Answer::refused, used};
  }
  if (account.measuring) {
    account.waiters.push_back(std::move(waiter));
    return {Answer::wait};
  }
  account.measuring = true;
  account.begins = now;
  account.stored_before = account.stored;
  return {Answer::measure};
}

void QuotaBook::measured(const std::string& pattern, std::uint64_t bytes, Waiter first) {
  std::vector<Waiter> waiters;
  {
    const std::lock_guard lock(mutex_);
    auto& account = accounts_[pattern];
    account.known = true;
    account.measured = bytes;
    account.began = account.begins;
    account.stored -= account.stored_before;
    for (auto it = account.promises.begin(); it != account.promises.end();) {
      const auto& promise = it->second;
      if (promise.resting_until && account.began >= *promise.resting_until) {
        account.promised -= promise.bytes;
        it = account.promises.erase(it);
      } else {
        ++it;
      }
    }
    end_measuring(account, waiters);
  }
  if (first) first();
  for (auto& waiter : waiters) waiter();
}

void QuotaBook::not_measured(const std::string& pattern) {
  std::vector<Waiter> waiters;
  {
    const std::lock_guard lock(mutex_);
    end_measuring(accounts_[pattern], waiters);
  }
  for (auto& waiter : waiters) waiter();
}

void QuotaBook::end_measuring(Account& account, std::vector<Waiter>& waiters) {
  account.measuring = false;
  waiters.swap(account.waiters);
}

void QuotaBook::stored(const std::string& pattern, const std::string& key) {
  const std::lock_guard lock(mutex_);
  auto& account = accounts_[pattern];
  if (const auto it = account.promises.find(key); it != account.promises.end()) account.stored += it->second.bytes;
  forget(account, key);
}

void QuotaBook::drop(const std::string& pattern, const std::string& key) {
  const std::lock_guard lock(mutex_);
  forget(accounts_[pattern], key);
}

void QuotaBook::forget(Account& account, const std::string& key) {
  const auto it = account.promises.find(key);
  if (it == account.promises.end()) return;
  account.promised -= it->second.bytes;
  account.promises.erase(it);
}

void QuotaBook::rest(const std::string& pattern, const std::string& key, base::SteadyTime until) {
  const std::lock_guard lock(mutex_);
  auto& account = accounts_[pattern];
  if (const auto it = account.promises.find(key); it != account.promises.end()) it->second.resting_until = until;
}

std::string QuotaBook::new_key() {
  const std::lock_guard lock(mutex_);
  return base::format("request {}", ++keys_);
}

}  // namespace shoal::serve
