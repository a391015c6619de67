// MemoryHosted: the hosted side of a MemoryStore: pushes and what they left, in maps. Part of the store; see there.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "shoal/store/hosted.h"

namespace shoal::test {

class MemoryStore;

class MemoryHosted final : public store::Hosted {
 public:
  explicit MemoryHosted(MemoryStore& store);
  ~MemoryHosted() override;

  // --- switches ---
  void most_uploads(std::size_t count) { most_uploads_ = count; }
  void fill_up_at(std::uint64_t bytes) { full_at_ = bytes; }  // a session keeps so many bytes, then the disk is full
  // remove_content of it is answered with busy, so many times.
  void keep_busy(const base::Digest& digest, int times) { busy_[digest] = times; }
  void fail_writes(std::optional<base::Error> error) { error_ = std::move(error); }
  void fail_reads_after(std::size_t count) { reads_left_ = count; }  // of read_*, last_pull
  void pulled(const base::Digest& manifest, base::WallTime at) { pulled_[manifest] = at; }
  [[nodiscard]] std::size_t reads() const { return reads_; }
  [[nodiscard]] std::size_t measured() const { return measured_; }  // calls of measure()
  [[nodiscard]] std::size_t sessions() const { return sessions_.size(); }
  [[nodiscard]] std::string session_bytes(const std::string& id) const;

  // --- store::Hosted ---
  [[nodiscard]] base::Result<std::unique_ptr<store::Upload>> begin_upload(const std::string& repository,
                                                                          base::Loop& loop) override;
  [[nodiscard]] base::Result<std::unique_ptr<store::Upload>> resume_upload(const std::string& repository,
                                                                           std::string_view id,
                                                                           base::Loop& loop) override;
  [[nodiscard]] bool is_hosted(std::string_view repository) const override;
  [[nodiscard]] std::vector<std::string> list_hosted(std::string_view last, std::size_t limit) const override;
  [[nodiscard]] base::Result<std::vector<std::string>> read_hosted(std::string_view last,
                                                                   std::size_t limit) const override;
  [[nodiscard]] base::Result<std::vector<std::string>> read_tags(std::string_view repository, std::string_view last,
                                                                 std::size_t limit) const override;
  [[nodiscard]] base::Result<Tagged> read_tagged(std::string_view repository, std::string_view last,
                                                 std::size_t limit) const override;
  [[nodiscard]] std::vector<store::Referrer> list_referrers(std::string_view repository, const base::Digest& subject,
                                                            const std::optional<base::Digest>& last,
                                                            std::size_t max_bytes) const override;
  [[nodiscard]] base::Result<std::optional<base::WallTime>> last_pull(const base::Digest& manifest) const override;
  [[nodiscard]] base::Result<store::HostedRepository> measure(std::string_view repository) const override;
  void mount(const std::string& repository, const base::Digest& digest, const std::string& from, base::Executor& on,
             Done done) override;
  void put_manifest(store::ManifestPush push, base::Executor& on, Done done) override;
  void remove_tag(const std::string& repository, const std::string& tag, base::Executor& on, Done done) override;
  void release_tag(const std::string& repository, const std::string& tag, const base::Digest&, base::Executor& on,
                   Done done) override {
    remove_tag(repository, tag, on, std::move(done));
  }
  void remove_content(const std::string& repository, const base::Digest& digest, store::Removal removal,
                      base::Executor& on, Done done) override;
  void collect_garbage(store::GcOptions options, base::Executor& on,
                       base::UniqueFunction<void(base::Result<store::GcReport>)> done) override;

 private:
  friend class MemoryUpload;
  struct Session {
    std::string repository, bytes;
    const void* owner = nullptr;  // the upload in charge
  };
  [[nodiscard]] base::Result<void> link(const std::string& repository, const base::Digest& digest,
                                        const std::string& from);
  [[nodiscard]] base::Result<void> put(store::ManifestPush& push);
  [[nodiscard]] base::Result<void> untag(const std::string& repository, const std::string& tag);
  [[nodiscard]] base::Result<void> remove(const std::string& repository, const base::Digest& digest,
                                          const store::Removal& removal);
  [[nodiscard]] std::set<base::Digest> with_parents(const std::string& repository, const base::Digest& digest) const;

  MemoryStore& store_;
  std::map<std::string, std::shared_ptr<Session>, std::less<>> sessions_;
  std::set<std::string, std::less<>> hosted_;
  std::map<std::pair<std::string, base::Digest>, std::map<base::Digest, std::string>> referrers_;
  std::map<std::pair<std::string, base::Digest>, std::vector<base::Digest>> needs_;  // of a manifest
  std::map<base::Digest, int> busy_;
  std::map<base::Digest, base::WallTime> pulled_;
  std::size_t most_uploads_ = 1000, begun_ = 0;
  std::uint64_t full_at_ = UINT64_MAX;
  std::optional<base::Error> error_;
  mutable std::size_t reads_ = 0, measured_ = 0, reads_left_ = SIZE_MAX;
};

}  // namespace shoal::test
