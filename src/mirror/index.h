// Index: the store's records, with what this process has written but not yet committed laid over them. So a client that
// asks by digest a millisecond after its HEAD finds what the HEAD brought, without waiting for an fsync.
// Any thread. Costs one relaxed load when nothing is in flight.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "shoal/base/loop.h"
#include "shoal/store/store.h"

namespace shoal::mirror {

class Index {
 public:
  Index(store::Store& store, base::Executor& completions);

  [[nodiscard]] std::optional<store::TagRecord> find_tag(const std::string& repository, const std::string& tag) const;
  [[nodiscard]] std::optional<store::LinkRecord> find_link(const std::string& repository,
                                                           const base::Digest& digest) const;
  [[nodiscard]] std::optional<base::WallTime> find_absent(const std::string& repository,
                                                          const std::string& reference) const;
  [[nodiscard]] std::optional<store::ManifestRecord> find_manifest(const base::Digest& digest) const;
  [[nodiscard]] store::Store& store() { return store_; }

  void commit(std::vector<store::Write> writes);

 private:
  // An entry leaves when the commit that made it is durable, unless a later one has replaced it.
  template <class T>
  struct Entry {
    std::uint64_t sequence;
    T value;
  };
  struct Overlay {
    std::mutex mutex;
    std::atomic<std::size_t> commits{0};  // in flight
    std::uint64_t sequence = 0;
    std::map<std::string, Entry<std::optional<store::TagRecord>>> tags;  // nullopt: removed
    std::map<std::string, Entry<store::LinkRecord>> links;
    std::map<std::string, Entry<std::optional<base::WallTime>>> absents;
    std::map<base::Digest, Entry<store::ManifestRecord>> manifests;
  };
  [[nodiscard]] std::shared_ptr<const std::string> shared(const base::Digest& digest,
                                                          std::shared_ptr<const std::string> bytes) const;
  struct Touched {  // by one commit: what to look at when it is done, however much else is in flight
    std::vector<std::string> tags, links, absents;
    std::vector<base::Digest> manifests;
  };
  static void lay_over(Overlay& overlay, const store::Write& write, Touched& touched);
  static void forget(Overlay& overlay, const Touched& touched, std::uint64_t sequence);

  store::Store& store_;
  base::Executor& completions_;
  std::shared_ptr<Overlay> overlay_;  // shared with commits in flight
  // Large manifests that somebody is reading now, so that slow readers of one do not hold a copy each.
  mutable std::mutex reading_mutex_;
  mutable std::map<base::Digest, std::weak_ptr<const std::string>> reading_;
  mutable std::size_t sweep_at_;
};

}  // namespace shoal::mirror
