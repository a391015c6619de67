// LocalHosted: the hosted side of a LocalStore. Thin: reads the index, hands transactions to the writer and the rest to
// the parts.
#pragma once

#include "core.h"
#include "shoal/store/hosted.h"

namespace shoal::store {

class LocalHosted final : public Hosted {
 public:
  explicit LocalHosted(std::shared_ptr<Core> core) : core_(std::move(core)) {}

  base::Result<std::unique_ptr<Upload>> begin_upload(const std::string& repository, base::Loop& loop) override;
  base::Result<std::unique_ptr<Upload>> resume_upload(const std::string& repository, std::string_view id,
                                                      base::Loop& loop) override;

  [[nodiscard]] bool is_hosted(std::string_view repository) const override;
  [[nodiscard]] std::vector<std::string> list_hosted(std::string_view last, std::size_t limit) const override;
  [[nodiscard]] base::Result<std::vector<std::string>> read_hosted(std::string_view last,
                                                                   std::size_t limit) const override;
  [[nodiscard]] base::Result<std::vector<std::string>> read_tags(std::string_view repository, std::string_view last,
                                                                 std::size_t limit) const override;
  [[nodiscard]] base::Result<Tagged> read_tagged(std::string_view repository, std::string_view last,
                                                 std::size_t limit) const override;
  [[nodiscard]] std::vector<Referrer> list_referrers(std::string_view repository, const base::Digest& subject,
                                                     const std::optional<base::Digest>& last,
                                                     std::size_t max_bytes) const override;
  [[nodiscard]] base::Result<std::optional<base::WallTime>> last_pull(const base::Digest& manifest) const override;
  [[nodiscard]] base::Result<HostedRepository> measure(std::string_view repository) const override;

  void touch_link(const std::string& repository, const base::Digest& digest) override;
  void mount(const std::string& repository, const base::Digest& digest, const std::string& from, base::Executor& on,
             Done done) override;
  void put_manifest(ManifestPush push, base::Executor& on, Done done) override;
  void remove_tag(const std::string& repository, const std::string& tag, base::Executor& on, Done done) override;
  void release_tag(const std::string& repository, const std::string& tag, const base::Digest& digest,
                   base::Executor& on, Done done) override;
  void remove_content(const std::string& repository, const base::Digest& digest, Removal removal, base::Executor& on,
                      Done done) override;

  void collect_garbage(GcOptions options, base::Executor& on,
                       base::UniqueFunction<void(base::Result<GcReport>)> done) override;

 private:
  const std::shared_ptr<Core> core_;
};

}  // namespace shoal::store
