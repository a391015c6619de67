#include "support/memory_hosted.h"

#include <algorithm>

#include "support/memory_store.h"

namespace shoal::test {

using base::Error;
using base::ErrorKind;
using base::Result;

// All state is the session's; everything runs on the test's thread, in order, posted to the loop.
class MemoryUpload final : public store::Upload {
 public:
  MemoryUpload(MemoryHosted& hosted, base::Loop& loop, std::string id, std::shared_ptr<MemoryHosted::Session> session)
      : hosted_(hosted), loop_(loop), id_(std::move(id)), session_(std::move(session)) {
    session_->owner = this;
  }
  ~MemoryUpload() override {
    if (session_->owner == this) session_->owner = nullptr;
  }
  const std::string& id() const override { return id_; }

  void length(Done<std::uint64_t> done) override {
    run<std::uint64_t>([this]() -> Result<std::uint64_t> { return session_->bytes.size(); }, std::move(done));
  }
  // Done at once, told later: what was handed over is kept even if the owner goes before it hears of it.
  void append(std::shared_ptr<const std::string> bytes, Done<std::uint64_t> done) override {
    auto result = guarded<std::uint64_t>([&]() -> Result<std::uint64_t> {
      if (session_->bytes.size() + bytes->size() > hosted_.full_at_) return Error(ErrorKind::full, "no space left");
      session_->bytes += *bytes;
      return session_->bytes.size();
    });
    run<std::uint64_t>([result] { return result; }, std::move(done));
  }
  void finish(const base::Digest& digest, Done<void> done) override {
    auto result = guarded<void>([&]() -> Result<void> {
      auto& store = hosted_.store_;
      hosted_.sessions_.erase(id_);
      if (base::digest_of(session_->bytes, digest.algorithm()) != digest) {
        return Error(ErrorKind::corrupt, "the bytes have another digest");
      }
      store.put_blob(digest, session_->bytes);
      store.put_hosted_link(session_->repository, digest, session_->bytes.size());
      hosted_.hosted_.insert(session_->repository);
      return {};
    });
    run<void>([result] { return result; }, std::move(done));
  }
  void cancel(Done<void> done) override {
    auto result = guarded<void>([&]() -> Result<void> {
      hosted_.sessions_.erase(id_);
      return {};
    });
    run<void>([result] { return result; }, std::move(done));
  }

 private:
  template <class T, class Work>
  Result<T> guarded(Work work) {
    if (session_->owner != this) return Error(ErrorKind::cancelled, "another request took over");
    if (hosted_.error_) return *hosted_.error_;
    return work();
  }
  template <class T, class Work>
  void run(Work work, Done<T> done) {
    loop_.post([this, watch = life_.watch(), work = std::move(work), done = std::move(done)]() mutable {
      if (!watch.gone()) done(work());
    });
  }
  MemoryHosted& hosted_;
  base::Loop& loop_;
  std::string id_;
  std::shared_ptr<MemoryHosted::Session> session_;  // shared with the map, which forgets it at the end
  base::Lifetime life_;
};

namespace {

void tell(base::Executor& on, store::Hosted::Done done, Result<void> result) {
  if (!done) return;
  on.post([done = std::move(done), result = std::move(result)]() mutable { done(std::move(result)); });
}

}  // namespace

MemoryHosted::MemoryHosted(MemoryStore& store) : store_(store) {}
MemoryHosted::~MemoryHosted() = default;

std::string MemoryHosted::session_bytes(const std::string& id) const {
  const auto it = sessions_.find(id);
  return it == sessions_.end() ? "" : it->second->bytes;
}

Result<std::unique_ptr<store::Upload>> MemoryHosted::begin_upload(const std::string& repository, base::Loop& loop) {
  if (sessions_.size() >= most_uploads_) return Error(ErrorKind::busy, "too many uploads");
  if (error_) return *error_;
  const auto id = "session-" + std::to_string(++begun_);
  const auto session = sessions_[id] = std::make_shared<Session>(Session{repository, {}, {}});
  return std::unique_ptr<store::Upload>(std::make_unique<MemoryUpload>(*this, loop, id, session));
}

Result<std::unique_ptr<store::Upload>> MemoryHosted::resume_upload(const std::string& repository, std::string_view id,
                                                                   base::Loop& loop) {
  const auto it = sessions_.find(id);
  if (it == sessions_.end() || it->second->repository != repository) return Error(ErrorKind::not_found, "no session");
  return std::unique_ptr<store::Upload>(std::make_unique<MemoryUpload>(*this, loop, std::string(id), it->second));
}

bool MemoryHosted::is_hosted(std::string_view repository) const {
  return !store_.fails_read() && hosted_.find(repository) != hosted_.end();
}

std::vector<std::string> MemoryHosted::list_hosted(std::string_view last, std::size_t limit) const {
  std::vector<std::string> out;
  if (store_.fails_read()) return out;
  for (auto it = hosted_.upper_bound(last); it != hosted_.end() && out.size() < limit; ++it) out.push_back(*it);
  return out;
}

Result<std::vector<std::string>> MemoryHosted::read_hosted(std::string_view last, std::size_t limit) const {
  ++reads_;
  if (reads_left_-- == 0) return Error(ErrorKind::gone, "the index cannot be read");
  return list_hosted(last, limit);
}

Result<std::vector<std::string>> MemoryHosted::read_tags(std::string_view repository, std::string_view last,
                                                         std::size_t limit) const {
  auto tagged = read_tagged(repository, last, limit);
  if (!tagged) return tagged.error();
  std::vector<std::string> names;
  for (auto& [tag, record] : *tagged) names.push_back(std::move(tag));
  return names;
}

Result<store::Hosted::Tagged> MemoryHosted::read_tagged(std::string_view repository, std::string_view last,
                                                        std::size_t limit) const {
  ++reads_;
  if (reads_left_-- == 0) return Error(ErrorKind::gone, "the index cannot be read");
  return store_.list_tags(repository, last, limit);
}

Result<std::optional<base::WallTime>> MemoryHosted::last_pull(const base::Digest& manifest) const {
  ++reads_;
  if (reads_left_-- == 0) return Error(ErrorKind::gone, "the index cannot be read");
  const auto found = pulled_.find(manifest);
  return found == pulled_.end() ? std::nullopt : std::optional(found->second);
}

std::vector<store::Referrer> MemoryHosted::list_referrers(std::string_view repository, const base::Digest& subject,
                                                          const std::optional<base::Digest>& last,
                                                          std::size_t max_bytes) const {
  std::vector<store::Referrer> out;
  if (store_.fails_read()) return out;
  const auto all = referrers_.find({std::string(repository), subject});
  if (all == referrers_.end()) return out;
  for (auto it = last ? all->second.upper_bound(*last) : all->second.begin(); it != all->second.end(); ++it) {
    if (it->second.size() > max_bytes) break;
    max_bytes -= it->second.size();
    out.push_back({it->first, it->second});
  }
  return out;
}

Result<store::HostedRepository> MemoryHosted::measure(std::string_view repository) const {
  ++measured_;
  store::HostedRepository out;
  out.name = repository;
  out.tags = store_.list_tags(repository, "", SIZE_MAX).size();
  for (const auto& [digest, size] : store_.hosted_links(repository)) {
    out.bytes += size;
    const auto link = store_.find_link(repository, digest);
    if (link && link->manifest) ++out.manifests;
  }
  return out;
}

Result<void> MemoryHosted::link(const std::string& repository, const base::Digest& digest, const std::string& from) {
  if (error_) return *error_;
  const auto blob = store_.find_blob(digest);
  if (!blob) return Error(ErrorKind::not_found, "no such blob");
  const auto shows = [&](const std::string& name) {
    const auto found = store_.find_link(name, digest);
    return found && found->proven;
  };
  if (from.empty() ? std::none_of(hosted_.begin(), hosted_.end(), shows) : !shows(from)) {
    return Error(ErrorKind::not_found, "the other repository does not show it");
  }
  store_.put_hosted_link(repository, digest, blob->size);
  hosted_.insert(repository);
  return {};
}

void MemoryHosted::mount(const std::string& repository, const base::Digest& digest, const std::string& from,
                         base::Executor& on, Done done) {
  tell(on, std::move(done), link(repository, digest, from));
}

Result<void> MemoryHosted::put(store::ManifestPush& push) {
  if (error_) return *error_;
  for (const auto& digest : push.needed) {
    const auto found = store_.find_link(push.repository, digest);
    if (!found || !found->hosted) return Error(ErrorKind::not_found, digest.to_string());
  }
  for (const auto& tag : push.fixed_tags) {
    const auto found = store_.find_tag(push.repository, tag);
    if (found && found->digest != push.digest) return Error(ErrorKind::denied, tag);
  }
  store_.put_hosted_manifest(push);
  hosted_.insert(push.repository);
  needs_[{push.repository, push.digest}] = push.needed;
  if (push.subject) referrers_[{push.repository, *push.subject}][push.digest] = push.descriptor;
  return {};
}

void MemoryHosted::put_manifest(store::ManifestPush push, base::Executor& on, Done done) {
  tell(on, std::move(done), put(push));
}

Result<void> MemoryHosted::untag(const std::string& repository, const std::string& tag) {
  if (error_) return *error_;
  if (!store_.find_tag(repository, tag)) return Error(ErrorKind::not_found, "no such tag");
  store_.remove_hosted_tag(repository, tag);
  return {};
}

void MemoryHosted::remove_tag(const std::string& repository, const std::string& tag, base::Executor& on, Done done) {
  tell(on, std::move(done), untag(repository, tag));
}

std::set<base::Digest> MemoryHosted::with_parents(const std::string& repository, const base::Digest& digest) const {
  std::set<base::Digest> all{digest};
  for (std::size_t before = 0; before < all.size();) {
    before = all.size();
    for (const auto& [manifest, needed] : needs_) {
      const bool names = std::any_of(needed.begin(), needed.end(), [&all](const auto& d) { return all.contains(d); });
      if (manifest.first == repository && names) all.insert(manifest.second);
    }
  }
  return all;
}

Result<void> MemoryHosted::remove(const std::string& repository, const base::Digest& digest,
                                  const store::Removal& removal) {
  if (error_) return *error_;
  const auto found = store_.find_link(repository, digest);
  if (!found || !found->hosted || found->manifest != removal.manifest.value_or(found->manifest)) {
    return Error(ErrorKind::not_found, "the repository does not show it");
  }
  const auto parents = removal.is_fixed ? with_parents(repository, digest) : std::set<base::Digest>();
  for (const auto& [tag, record] : store_.list_tags(repository, "", SIZE_MAX)) {
    if (found->manifest && parents.contains(record.digest) && removal.is_fixed(tag)) {
      return Error(ErrorKind::denied, tag);
    }
  }
  if (!found->manifest) {
    for (const auto& [manifest, needed] : needs_) {
      if (manifest.first == repository && std::find(needed.begin(), needed.end(), digest) != needed.end()) {
        return Error(ErrorKind::busy, manifest.second.to_string() + " needs it");
      }
    }
  }
  for (const auto& [tag, record] : store_.list_tags(repository, "", SIZE_MAX)) {
    if (record.digest == digest) store_.remove_hosted_tag(repository, tag);
  }
  for (auto& [subject, all] : referrers_) {
    if (subject.first == repository) all.erase(digest);
  }
  needs_.erase({repository, digest});
  store_.remove_hosted_link(repository, digest);
  return {};
}

void MemoryHosted::remove_content(const std::string& repository, const base::Digest& digest, store::Removal removal,
                                  base::Executor& on, Done done) {
  if (const auto busy = busy_.find(digest); busy != busy_.end() && busy->second-- > 0) {
    return tell(on, std::move(done), base::Result<void>(Error(ErrorKind::busy, "the repository keeps changing")));
  }
  tell(on, std::move(done), remove(repository, digest, removal));
}

void MemoryHosted::collect_garbage(store::GcOptions, base::Executor& on,
                                   base::UniqueFunction<void(Result<store::GcReport>)> done) {
  on.post([done = std::move(done)]() mutable { done(store::GcReport{}); });
}

}  // namespace shoal::test
