#include "local_hosted.h"

#include "content_removal.h"
#include "hosted_edit.h"
#include "local_upload.h"

namespace shoal::store {
namespace {

constexpr auto kTouchEvery = std::chrono::minutes(1);
constexpr std::size_t kMeasureSlice = 4096;  // rows a read transaction

void answer(base::Executor* on, Hosted::Done done, base::Result<void> result) {
  if (!done) return;
  on->post([done = std::move(done), result = std::move(result)]() mutable { done(std::move(result)); });
}

// One transaction that may be refused. `apply` may run more than once.
template <class F>
IndexWriter::Job job_of(F apply, base::Executor& on, Hosted::Done done, std::shared_ptr<void> keep = nullptr) {
  auto outcome = std::make_shared<base::Result<void>>();  // of the two functions, on one thread
  return {[apply = std::move(apply), outcome](IndexEdit& edit) mutable { *outcome = apply(edit); },
          [outcome, keep = std::move(keep), on = &on, done = std::move(done)](base::Result<void> committed) mutable {
            answer(on, std::move(done), committed.ok() ? *outcome : committed);
          }};
}

bool fits_index(std::string_view name, std::size_t max) {
  return !name.empty() && name.size() <= max && name.find('\0') == std::string_view::npos;
}

bool is_repository(std::string_view name) { return fits_index(name, format::kMaxRepositoryKeyBytes); }

base::Error bad_name() { return {base::ErrorKind::invalid, "the name does not fit the index"}; }

}  // namespace

base::Result<std::unique_ptr<Upload>> LocalHosted::begin_upload(const std::string& repository, base::Loop& loop) {
  core_->sweeper.tick(core_->clock.steady_now());
  auto session = core_->uploads.begin(repository);
  if (!session.ok()) return session.error().at("begin upload", repository);
  return std::unique_ptr<Upload>(std::make_unique<LocalUpload>(core_, std::move(session).value(), loop));
}

base::Result<std::unique_ptr<Upload>> LocalHosted::resume_upload(const std::string& repository, std::string_view id,
                                                                 base::Loop& loop) {
  auto session = core_->uploads.find(repository, id);
  if (session == nullptr) return base::Error(base::ErrorKind::not_found, "no such upload").at("resume", repository);
  return std::unique_ptr<Upload>(std::make_unique<LocalUpload>(core_, std::move(session), loop));
}

bool LocalHosted::is_hosted(std::string_view repository) const {
  return core_->index->read().get(Table::hosted, repository).has_value();
}

std::vector<std::string> LocalHosted::list_hosted(std::string_view last, std::size_t limit) const {
  return read_hosted(last, limit).value_or({});
}

base::Result<std::vector<std::string>> LocalHosted::read_hosted(std::string_view last, std::size_t limit) const {
  std::vector<std::string> names;
  const auto txn = core_->index->read();
  auto cursor = txn.cursor(Table::hosted);
  for (bool more = cursor.seek(last); more && names.size() < limit; more = cursor.next()) {
    if (cursor.key() != last) names.emplace_back(cursor.key());
  }
  if (!txn.ok()) return unreadable_index();
  return names;
}

base::Result<std::vector<std::string>> LocalHosted::read_tags(std::string_view repository, std::string_view last,
                                                              std::size_t limit) const {
  auto tagged = read_tagged(repository, last, limit);
  if (!tagged.ok()) return tagged.error();
  std::vector<std::string> names;
  for (auto& [tag, record] : *tagged) names.push_back(std::move(tag));
  return names;
}

base::Result<Hosted::Tagged> LocalHosted::read_tagged(std::string_view repository, std::string_view last,
                                                      std::size_t limit) const {
  const auto txn = core_->index->read();
  auto tagged = IndexView(txn).tags(repository, last, limit);
  if (!txn.ok()) return unreadable_index();
  return tagged;
}

std::vector<Referrer> LocalHosted::list_referrers(std::string_view repository, const base::Digest& subject,
                                                  const std::optional<base::Digest>& last,
                                                  std::size_t max_bytes) const {
  std::vector<Referrer> found;
  const auto prefix = format::subject_prefix(repository, subject);
  const auto txn = core_->index->read();
  auto cursor = txn.cursor(Table::referrers);
  std::size_t bytes = 0;
  for (bool more = cursor.seek(last ? prefix + format::digest_key(*last) : prefix); more; more = cursor.next()) {
    if (!cursor.key().starts_with(prefix)) break;
    const auto digest = format::parse_digest_key(cursor.key().substr(prefix.size()));
    auto descriptor = format::decode_descriptor(cursor.value());
    if (!digest || !descriptor || (last && *digest == *last)) continue;
    bytes += descriptor->size();
    if (bytes > max_bytes) break;
    found.push_back({*digest, std::move(*descriptor)});
  }
  return found;
}

base::Result<std::optional<base::WallTime>> LocalHosted::last_pull(const base::Digest& manifest) const {
  const auto txn = core_->index->read();
  const auto use = IndexView(txn).manifest_use(manifest);
  if (!txn.ok()) return unreadable_index();
  const bool pulled = use && use->uses > 1;  // the push itself is one
  return pulled ? std::optional(use->last_use) : std::nullopt;
}

base::Result<HostedRepository> LocalHosted::measure(std::string_view repository) const {
  HostedRepository sum{std::string(repository), 0, 0, 0};
  const auto prefix = format::repository_prefix(repository);
  for (const auto table : {Table::tags, Table::links}) {
    std::string from = prefix;
    while (!from.empty()) {
      const auto txn = core_->index->read();
      auto cursor = txn.cursor(table);
      bool more = cursor.seek(from);
      std::size_t rows = 0;
      for (; more && cursor.key().starts_with(prefix) && rows < kMeasureSlice; more = cursor.next(), ++rows) {
        if (table == Table::tags) {
          ++sum.tags;
          continue;
        }
        const auto link = format::decode_link(cursor.value());
        if (!link || !link->record.hosted) continue;
        sum.manifests += link->manifest ? 1 : 0;
        sum.bytes += link->record.size.value_or(0);
      }
      if (!txn.ok()) return unreadable_index();
      from = more && cursor.key().starts_with(prefix) ? std::string(cursor.key()) : std::string();
    }
  }
  return sum;
}

void LocalHosted::touch_link(const std::string& repository, const base::Digest& digest) {
  const auto is_old = [](const IndexView& view, const std::string& repo, const base::Digest& d, base::WallTime now) {
    const auto link = view.link(repo, d);
    return link && link->record.hosted && link->stored + kTouchEvery < now;
  };
  if (!is_repository(repository)) return;
  {
    const auto txn = core_->index->read();
    if (!is_old(IndexView(txn), repository, digest, core_->clock.wall_now())) return;
  }
  core_->writer->submit({[core = core_.get(), repository, digest, is_old](IndexEdit& edit) {
                           if (!is_old(edit.view(), repository, digest, edit.now())) return;
                           edit.put_link(repository, digest, {std::nullopt, true, true});
                           core->shield.note(repository, digest);
                         },
                         {}});
}

// The lease keeps the file from being removed until the link stands.
void LocalHosted::mount(const std::string& repository, const base::Digest& digest, const std::string& from,
                        base::Executor& on, Done done) {
  if (!is_repository(repository) || (!from.empty() && !is_repository(from))) {
    return answer(&on, std::move(done), bad_name());
  }
  core_->post_disk([repository, digest, from, on = &on, done = std::move(done)](Core& core) mutable {
    auto lease = core.guard->lease(digest);
    const auto sound = is_sound_blob(core, digest);
    if (!sound.ok()) return answer(on, std::move(done), sound.error());
    if (lease == nullptr || !*sound) {
      return answer(on, std::move(done), base::Error(base::ErrorKind::not_found, digest.to_string()));
    }
    core.writer->submit(
        job_of([core = &core, repository, digest,
                from](IndexEdit& edit) { return apply_mount(edit, core->shield, repository, digest, from); },
               *on, std::move(done), std::move(lease)));
  });
}

void LocalHosted::put_manifest(ManifestPush push, base::Executor& on, Done done) {
  if (auto checked = check_push(push); !checked.ok()) return answer(&on, std::move(done), checked);
  const auto bytes = push.bytes->size() + push.descriptor.size() + 1024 + 128 * push.tags.size();
  auto job = job_of(
      [core = core_.get(), push = std::move(push)](IndexEdit& edit) { return apply_push(edit, core->shield, push); },
      on, std::move(done));
  job.bytes = bytes;
  core_->writer->submit(std::move(job));
}

void LocalHosted::remove_tag(const std::string& repository, const std::string& tag, base::Executor& on, Done done) {
  if (!is_repository(repository) || !fits_index(tag, format::kMaxTagBytes)) {
    return answer(&on, std::move(done), base::Error(base::ErrorKind::not_found, "no such tag"));
  }
  core_->writer->submit(job_of(
      [repository, tag](IndexEdit& edit) -> base::Result<void> {
        if (edit.erase_tag(repository, tag)) return {};
        return base::Error(base::ErrorKind::not_found, "no such tag");
      },
      on, std::move(done)));
}

void LocalHosted::release_tag(const std::string& repository, const std::string& tag, const base::Digest& digest,
                              base::Executor& on, Done done) {
  if (!is_repository(repository) || !fits_index(tag, format::kMaxTagBytes)) {
    return answer(&on, std::move(done), base::Error(base::ErrorKind::not_found, "no such tag"));
  }
  core_->writer->submit(job_of(
      [repository, tag, digest](IndexEdit& edit) -> base::Result<void> {
        const auto now = edit.view().tag(repository, tag);
        if (!now) return base::Error(base::ErrorKind::not_found, "no such tag");
        if (now->digest != digest) return {};
        (void)edit.erase_tag(repository, tag);  // it is there
        edit.release(repository, digest);
        return {};
      },
      on, std::move(done)));
}

void LocalHosted::remove_content(const std::string& repository, const base::Digest& digest, Removal removal,
                                 base::Executor& on, Done done) {
  if (!is_repository(repository)) return answer(&on, std::move(done), bad_name());
  ContentRemoval::start(*core_, repository, digest, std::move(removal),
                        [on = &on, done = std::move(done)](base::Result<void> result) mutable {
                          answer(on, std::move(done), std::move(result));
                        });
}

void LocalHosted::collect_garbage(GcOptions options, base::Executor& on,
                                  base::UniqueFunction<void(base::Result<GcReport>)> done) {
  core_->collector.start(options, on, [on = &on, done = std::move(done)](base::Result<GcReport> report) mutable {
    if (!done) return;
    on->post([done = std::move(done), report = std::move(report)]() mutable { done(std::move(report)); });
  });
}

}  // namespace shoal::store
