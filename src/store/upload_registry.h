// UploadRegistry: every push in progress, by id; bounded. The index has those worth to be found after a restart, the
// registry has all. Any thread, unless said otherwise.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>

#include "upload_session.h"

namespace shoal::store {

class UploadRegistry {
 public:
  explicit UploadRegistry(Core& core) : core_(core) {}

  // ErrorKind::busy: StoreOptions::max_uploads are in progress.
  [[nodiscard]] base::Result<std::shared_ptr<UploadSession>> begin(const std::string& repository);
  [[nodiscard]] std::shared_ptr<UploadSession> find(std::string_view repository, std::string_view id) const;
  void forget(const std::string& id);  // its file is gone, or is a blob now

  void load();   // while the store opens: what earlier runs left
  void close();  // no disk work runs any more: remembers the sessions for the next run

  // On the disk executor. Ends sessions that nobody went on with, and removes files that no session is about. Answers
  // how many; bytes are added to `bytes`.
  std::size_t sweep();
  // The same. Ends those that began before the store turned read-only: nothing of them will be acknowledged.
  void end_refused();
  struct Abandoned {
    std::size_t sessions = 0;
    std::uint64_t bytes = 0;
  };
  [[nodiscard]] Abandoned count_abandoned() const;  // what sweep() would remove now

 private:
  [[nodiscard]] bool is_abandoned(const UploadSession& session) const;
  [[nodiscard]] bool knows(const std::string& id) const;

  Core& core_;
  mutable std::mutex mutex_;
  std::unordered_map<std::string, std::shared_ptr<UploadSession>> sessions_;
};

}  // namespace shoal::store
