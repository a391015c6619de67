#include "guard.h"

#include <utility>

namespace shoal::store {

template <class F>
void Guard::change(const base::Digest& digest, F apply) {
  std::vector<Waiter> freed;
  {
    auto& s = shard(digest);
    const std::lock_guard lock(s.mutex);
    const auto it = s.holders.try_emplace(digest).first;
    auto& holders = it->second;
    apply(holders);
    if (!holders.publication && !holders.removing_file) freed.swap(holders.waiters);
    if (holders.none()) s.holders.erase(it);
  }
  for (auto& waiter : freed) waiter();
}

void Guard::forget_waiters() {
  for (auto& s : shards_) {
    std::vector<std::vector<Waiter>> dropped;  // outside of the lock: they may hold leases
    const std::lock_guard lock(s.mutex);
    for (auto& [digest, holders] : s.holders) dropped.push_back(std::exchange(holders.waiters, {}));
  }
}

std::shared_ptr<void> Guard::lease(const base::Digest& digest) {
  struct Lease {
    Lease(std::shared_ptr<Guard> g, const base::Digest& d) : guard(std::move(g)), digest(d) {}
    ~Lease() { guard->end_lease(digest); }
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;
    std::shared_ptr<Guard> guard;
    base::Digest digest;
  };
  bool granted = false;
  change(digest, [&granted](Holders& h) {
    granted = !h.removal;
    if (granted) ++h.leases;
  });
  if (!granted) return nullptr;
  return std::make_shared<Lease>(shared_from_this(), digest);
}

void Guard::end_lease(const base::Digest& digest) {
  change(digest, [](Holders& h) { --h.leases; });
}

bool Guard::begin_fill(const base::Digest& digest) {
  bool granted = false;
  change(digest, [&granted](Holders& h) { granted = !std::exchange(h.fill, true); });
  return granted;
}

void Guard::end_fill(const base::Digest& digest) {
  change(digest, [](Holders& h) { h.fill = false; });
}

bool Guard::begin_publication(const base::Digest& digest, Waiter when_free) {
  bool granted = false;
  change(digest, [&granted, &when_free](Holders& h) {
    granted = !h.publication && !h.removing_file;
    if (granted) {
      h.publication = true;
    } else if (when_free) {
      h.waiters.push_back(std::move(when_free));
    }
  });
  return granted;
}

void Guard::end_publication(const base::Digest& digest) {
  change(digest, [](Holders& h) { h.publication = false; });
}

bool Guard::begin_removal(const base::Digest& digest) {
  bool granted = false;
  change(digest, [&granted](Holders& h) {
    granted = h.none();
    if (granted) h.removal = h.removing_file = true;
  });
  return granted;
}

void Guard::file_removed(const base::Digest& digest) {
  change(digest, [](Holders& h) { h.removing_file = false; });
}

void Guard::end_removal(const base::Digest& digest) {
  change(digest, [](Holders& h) { h.removal = h.removing_file = false; });
}

bool Guard::removing_file(const base::Digest& digest) const {
  const auto& s = shard(digest);
  const std::lock_guard lock(s.mutex);
  const auto it = s.holders.find(digest);
  return it != s.holders.end() && it->second.removing_file;
}

bool Guard::removing(const base::Digest& digest) const {
  const auto& s = shard(digest);
  const std::lock_guard lock(s.mutex);
  const auto it = s.holders.find(digest);
  return it != s.holders.end() && it->second.removal;
}

bool Guard::in_use(const base::Digest& digest) const {
  const auto& s = shard(digest);
  const std::lock_guard lock(s.mutex);
  return s.holders.contains(digest);
}

}  // namespace shoal::store
