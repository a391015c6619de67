// MemoryStore: a store::Store of maps, with switches for everything that can go wrong. Fills write real temporary
// files, so that FileSlices can be read. Any thread; file work runs on the `disk` executor, as in the real one.
//
//   MemoryStore store(disk, clock);
//   store.hold_commits(true);                  // commits wait for release_commits()
//   store.fill_up_at(100'000);                 // a fill keeps so many bytes, then the disk is full
//   store.admit_up_to(1 << 20);                // larger blobs pass through
//   store.keep(digest, prefix);                // an earlier run's unfinished fill
//   store.put_blob(digest, bytes);             // complete; damage_blob(digest, bytes): its file is another one now
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "shoal/store/store.h"
#include "support/memory_hosted.h"
#include "support/temp_dir.h"

namespace shoal::test {

class MemoryStore final : public store::Store {
 public:
  MemoryStore(base::Executor& disk, base::Clock& clock);
  ~MemoryStore() override;

  // --- switches ---
  void hold_commits(bool on);
  void release_commits();                               // applies and completes what waits, in order
  void fail_commits(std::optional<base::Error> error);  // nothing is applied, every commit fails
  void turn_read_only(const std::string& reason);       // commits fail with it, and usage() tells
  void fill_up_at(std::optional<std::uint64_t> bytes);
  void admit_up_to(std::optional<std::uint64_t> bytes);
  void fail_open(bool on);
  void refuse_blobs(std::optional<base::Error> error);  // open_blob fails
  void fail_publish(bool on);
  void keep(const base::Digest& digest, std::string bytes);
  void put_blob(const base::Digest& digest, std::string bytes);
  void damage_blob(const base::Digest& digest, std::string bytes);
  void remove_manifest(const base::Digest& digest);
  void fail_reads_after(std::optional<std::size_t> reads);  // of all that find, list or tell

  // --- what happened ---
  [[nodiscard]] bool has_blob(const base::Digest& digest) const;  // and its bytes are the digest's
  [[nodiscard]] std::optional<std::string> kept(const base::Digest& digest) const;
  [[nodiscard]] std::size_t fills_running() const;
  [[nodiscard]] std::size_t fills_begun() const;
  [[nodiscard]] std::size_t published() const;
  [[nodiscard]] std::vector<std::string> quarantined() const;  // reasons
  [[nodiscard]] std::size_t commits() const;                   // handed in
  [[nodiscard]] std::size_t touches() const;

  // --- store::Store ---
  [[nodiscard]] base::Result<store::OpenBlob> open_blob(const base::Digest& digest) override;
  [[nodiscard]] std::optional<store::BlobRecord> find_blob(const base::Digest& digest) const override;
  [[nodiscard]] std::optional<store::ManifestRecord> find_manifest(const base::Digest& digest) const override;
  [[nodiscard]] std::optional<store::TagRecord> find_tag(std::string_view repository,
                                                         std::string_view tag) const override;
  [[nodiscard]] std::optional<store::LinkRecord> find_link(std::string_view repository,
                                                           const base::Digest& digest) const override;
  [[nodiscard]] std::optional<base::WallTime> find_absent(std::string_view repository,
                                                          std::string_view reference) const override;
  [[nodiscard]] std::optional<std::string> find_state(std::string_view key) const override;
  [[nodiscard]] States list_states(std::string_view prefix, std::string_view last, std::size_t limit) const override;
  [[nodiscard]] std::vector<std::string> list_repositories(std::string_view last, std::size_t limit) const override;
  [[nodiscard]] std::vector<std::pair<std::string, store::TagRecord>> list_tags(std::string_view repository,
                                                                                std::string_view last,
                                                                                std::size_t limit) const override;
  [[nodiscard]] std::vector<std::pair<base::Digest, store::BlobRecord>> list_blobs(
      const std::optional<base::Digest>& last, std::size_t limit) const override;
  [[nodiscard]] std::vector<base::Digest> list_manifests(const std::optional<base::Digest>& last,
                                                         std::size_t limit) const override;
  [[nodiscard]] store::Usage usage() const override;
  [[nodiscard]] std::uint64_t failed_reads() const override;
  void commit(std::vector<store::Write> writes, base::Executor& on,
              base::UniqueFunction<void(base::Result<void>)> done) override;
  void touch_blob(const base::Digest& digest) override;
  void touch_manifest(const base::Digest& digest) override;
  [[nodiscard]] base::Result<std::unique_ptr<store::FillFile>> begin_fill(const base::Digest& digest,
                                                                          base::Loop& loop) override;
  [[nodiscard]] MemoryHosted& hosted() override { return hosted_; }
  void report_unreadable(const base::Digest& digest, const base::File& file, const base::Error& why) override;
  [[nodiscard]] store::Admission admit(std::uint64_t size) override;
  [[nodiscard]] store::Admission would_admit(std::uint64_t size) override { return admit(size); }
  [[nodiscard]] store::ScrubReport scrub(std::uint64_t) override { return {.whole = true}; }
  [[nodiscard]] base::Result<void> remove_blob(const base::Digest& digest) override;
  [[nodiscard]] base::Result<store::BlobRecord> find_removable(const base::Digest& digest) const override;
  [[nodiscard]] base::Result<store::RemovalForecast> foresee_removal(std::string_view repository) const override;

  // --- for the hosted side ---
  [[nodiscard]] bool fails_read() const;
  void put_hosted_link(const std::string& repository, const base::Digest& digest, std::uint64_t size);
  void put_hosted_manifest(const store::ManifestPush& push);
  void remove_hosted_tag(const std::string& repository, const std::string& tag);
  void remove_hosted_link(const std::string& repository, const base::Digest& digest);
  [[nodiscard]] std::vector<std::pair<base::Digest, std::uint64_t>> hosted_links(std::string_view repository) const;

 private:
  friend class MemoryFill;
  friend class MemoryPieces;
  struct Blob {
    std::shared_ptr<const base::File> file;
    std::uint64_t size;
    bool damaged = false;
  };
  struct Waiting {
    std::vector<store::Write> writes;
    base::Executor* on;
    base::UniqueFunction<void(base::Result<void>)> done;
  };
  using Key = std::pair<std::string, std::string>;
  void apply(const store::Write& write);      // locked
  [[nodiscard]] bool fails_read_now() const;  // locked
  void put_link(const std::string& repository, const base::Digest& digest, const store::LinkRecord& record);
  [[nodiscard]] std::shared_ptr<const base::File> new_file(std::string_view bytes);

  base::Executor& disk_;
  base::Clock& clock_;
  TempDir dir_;
  mutable std::mutex mutex_;
  std::map<base::Digest, Blob> blobs_;
  std::map<base::Digest, std::string> kept_;
  std::map<base::Digest, store::ManifestRecord> manifests_;
  std::map<Key, store::TagRecord> tags_;
  std::map<Key, store::LinkRecord> links_;
  std::map<Key, base::WallTime> absents_;
  std::map<std::string, std::string> states_;
  MemoryHosted hosted_{*this};
  std::vector<Waiting> waiting_;
  std::set<base::Digest> filling_;
  std::vector<std::string> quarantined_;
  std::optional<std::uint64_t> full_at_, admit_up_to_;
  std::optional<base::Error> commit_error_;
  std::string read_only_reason_;
  std::optional<base::Error> refuse_blobs_;
  bool hold_ = false, fail_open_ = false, fail_publish_ = false;
  std::uint64_t read_errors_ = 0;
  mutable std::optional<std::size_t> reads_left_;
  mutable std::uint64_t failed_reads_ = 0;
  std::size_t files_ = 0, begun_ = 0, published_ = 0, commits_ = 0, touches_ = 0;
};

// The bytes a slice names, read from its file.
[[nodiscard]] std::string read_slice(const base::FileSlice& slice);

}  // namespace shoal::test
