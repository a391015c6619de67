#include "upload_registry.h"

#include <sys/random.h>

#include <cerrno>

#include "core.h"

namespace shoal::store {
namespace {

constexpr std::size_t kMaxFiles = 200'000;            // looked at under uploads/
constexpr auto kStrangerAge = std::chrono::hours(1);  // of a file no session is about

// 128 random bits in hex; "" when the kernel has none to give.
std::string random_id() {
  unsigned char bits[16];
  if (::getrandom(bits, sizeof bits, 0) != static_cast<ssize_t>(sizeof bits)) return {};
  constexpr char kHex[] = "0123456789abcdef";
  std::string id;
  for (const unsigned char byte : bits) {
    id += kHex[byte >> 4];
    id += kHex[byte & 15];
  }
  return id;
}

}  // namespace

base::Result<std::shared_ptr<UploadSession>> UploadRegistry::begin(const std::string& repository) {
  if (core_.health.read_only()) return core_.health.error();
  if (repository.empty() || repository.size() > format::kMaxRepositoryKeyBytes ||
      repository.find('\0') != std::string::npos) {
    return base::Error(base::ErrorKind::invalid, "the repository name does not fit the index");
  }
  auto id = random_id();
  if (id.empty()) return base::from_errno(errno, "make an upload id");
  auto session = std::make_shared<UploadSession>(core_, std::move(id), repository, core_.clock.wall_now(),
                                                 UploadSession::Origin::new_push);
  const std::lock_guard lock(mutex_);
  if (sessions_.size() >= core_.options.max_uploads) {
    return base::Error(base::ErrorKind::busy, "too many uploads are in progress");
  }
  sessions_.emplace(session->id(), session);
  return session;
}

std::shared_ptr<UploadSession> UploadRegistry::find(std::string_view repository, std::string_view id) const {
  const std::lock_guard lock(mutex_);
  const auto it = sessions_.find(std::string(id));
  if (it == sessions_.end() || it->second->repository() != repository || it->second->over()) return nullptr;
  return it->second;
}

void UploadRegistry::forget(const std::string& id) {
  std::shared_ptr<UploadSession> gone;  // dropped outside the lock
  const std::lock_guard lock(mutex_);
  const auto it = sessions_.find(id);
  if (it == sessions_.end()) return;
  gone = std::move(it->second);
  sessions_.erase(it);
}

bool UploadRegistry::knows(const std::string& id) const {
  const std::lock_guard lock(mutex_);
  return sessions_.contains(id);
}

void UploadRegistry::load() {
  const auto now = core_.clock.wall_now();
  {
    const auto txn = core_.index->read();
    auto cursor = txn.cursor(Table::uploads);
    for (bool more = cursor.seek(""); more; more = cursor.next()) {
      const std::string id(cursor.key());
      const auto record = format::decode_upload(cursor.value());
      if (!record || !is_upload_name(id)) continue;
      sessions_.emplace(id, std::make_shared<UploadSession>(core_, id, record->repository, record->started,
                                                            UploadSession::Origin::earlier_run));
    }
  }
  const auto files_now = core_.files->now();
  for (const auto& file : list_files(core_.layout.uploads_dir(), kMaxFiles)) {
    core_.space.add_fill(file.size);
    if (const auto it = sessions_.find(file.name); it != sessions_.end())
      it->second->touch(now - (files_now - file.changed));
  }
}

void UploadRegistry::close() {
  std::unordered_map<std::string, std::shared_ptr<UploadSession>> sessions;
  {
    const std::lock_guard lock(mutex_);
    sessions.swap(sessions_);
  }
  if (!core_.writer) return;
  for (const auto& [id, session] : sessions) session->remember();
}

bool UploadRegistry::is_abandoned(const UploadSession& session) const {
  return !session.over() && session.touched() + core_.options.upload_max_age < core_.clock.wall_now();
}

UploadRegistry::Abandoned UploadRegistry::count_abandoned() const {
  std::vector<std::shared_ptr<UploadSession>> idle;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [id, session] : sessions_) {
      if (is_abandoned(*session)) idle.push_back(session);
    }
  }
  Abandoned found{idle.size(), 0};
  for (const auto& session : idle) {
    if (const auto st = core_.files->stat(core_.layout.upload(session->id())); st.ok()) {
      found.bytes += static_cast<std::uint64_t>(st->st_size);
    }
  }
  return found;
}

void UploadRegistry::end_refused() {
  std::vector<std::shared_ptr<UploadSession>> refused;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [id, session] : sessions_) {
      if (core_.health.refuses(session->epoch())) refused.push_back(session);
    }
  }
  for (const auto& session : refused) {
    session->run(
        [](UploadSession& s) {
          if (!s.over()) s.cancel();
        },
        UploadSession::Read::not_needed);
  }
}

std::size_t UploadRegistry::sweep() {
  std::vector<std::shared_ptr<UploadSession>> idle;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [id, session] : sessions_) {
      if (is_abandoned(*session)) idle.push_back(session);
    }
  }
  for (const auto& session : idle) {
    session->run(
        [this](UploadSession& s) {
          if (is_abandoned(s)) s.cancel();  // unless somebody came back
        },
        UploadSession::Read::not_needed);
  }
  // Of a session that was never remembered, cut off by a kill. An hour, because a file comes just before its session's
  // end is known here.
  const auto newest = core_.files->now() - kStrangerAge;
  for (const auto& file : list_files(core_.layout.uploads_dir(), kMaxFiles)) {
    if (file.changed >= newest || knows(file.name)) continue;
    if (core_.files->remove(core_.layout.uploads_dir() + "/" + file.name).ok()) core_.space.give_back(file.size);
  }
  return idle.size();
}

}  // namespace shoal::store
