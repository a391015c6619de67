// LocalStore: Store over one directory. Thin: reads the index, hands writes to the writer and files to the parts.
#pragma once

#include "core.h"
#include "local_hosted.h"
#include "shoal/store/store.h"

namespace shoal::store {

class LocalStore final : public Store {
 public:
  explicit LocalStore(std::shared_ptr<Core> core) : core_(std::move(core)), hosted_(core_) {}
  ~LocalStore() override { core_->close(); }

  base::Result<OpenBlob> open_blob(const base::Digest& digest) override;
  void report_unreadable(const base::Digest& digest, const base::File& file, const base::Error& why) override {
    core_->report_unreadable(digest, file, why);
  }
  [[nodiscard]] std::optional<BlobRecord> find_blob(const base::Digest& digest) const override;
  [[nodiscard]] std::optional<ManifestRecord> find_manifest(const base::Digest& digest) const override;
  [[nodiscard]] std::optional<TagRecord> find_tag(std::string_view repository, std::string_view tag) const override;
  [[nodiscard]] std::optional<LinkRecord> find_link(std::string_view repository,
                                                    const base::Digest& digest) const override;
  [[nodiscard]] std::optional<base::WallTime> find_absent(std::string_view repository,
                                                          std::string_view reference) const override;
  [[nodiscard]] std::optional<std::string> find_state(std::string_view key) const override;
  [[nodiscard]] States list_states(std::string_view prefix, std::string_view last, std::size_t limit) const override;
  [[nodiscard]] std::vector<std::string> list_repositories(std::string_view last, std::size_t limit) const override;
  [[nodiscard]] std::vector<std::pair<std::string, TagRecord>> list_tags(std::string_view repository,
                                                                         std::string_view last,
                                                                         std::size_t limit) const override;
  [[nodiscard]] std::vector<std::pair<base::Digest, BlobRecord>> list_blobs(const std::optional<base::Digest>& last,
                                                                            std::size_t limit) const override;
  [[nodiscard]] std::vector<base::Digest> list_manifests(const std::optional<base::Digest>& last,
                                                         std::size_t limit) const override;
  [[nodiscard]] Usage usage() const override;
  [[nodiscard]] std::uint64_t failed_reads() const override { return core_->index->failed_reads(); }

  void commit(std::vector<Write> writes, base::Executor& on,
              base::UniqueFunction<void(base::Result<void>)> done) override;
  void touch_blob(const base::Digest& digest) override;
  void touch_manifest(const base::Digest& digest) override;

  base::Result<std::unique_ptr<FillFile>> begin_fill(const base::Digest& digest, base::Loop& loop) override;
  Admission admit(std::uint64_t size) override;
  Admission would_admit(std::uint64_t size) override;
  void set_limits(const StoreOptions& options) override;
  ScrubReport scrub(std::uint64_t max_bytes) override;
  void restart_scrub() override { core_->scrubber.restart(); }
  base::Result<void> remove_blob(const base::Digest& digest) override;
  [[nodiscard]] base::Result<BlobRecord> find_removable(const base::Digest& digest) const override;
  [[nodiscard]] base::Result<RemovalForecast> foresee_removal(std::string_view repository) const override;
  Hosted& hosted() override { return hosted_; }

 private:
  static void remove_unshown(Core& core, const std::vector<base::Digest>& unshown);
  void tick() const { core_->sweeper.tick(core_->clock.steady_now()); }
  const std::shared_ptr<Core> core_;  // shared with queued disk work
  LocalHosted hosted_;
};

}  // namespace shoal::store
