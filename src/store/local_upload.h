// LocalUpload: the loop side of a push in progress. Keeps the callbacks, so that they run and die on the owner's loop;
// the disk side only holds weak references to them.
#pragma once

#include <memory>
#include <unordered_set>

#include "core.h"
#include "shoal/store/hosted.h"

namespace shoal::store {

class LocalUpload final : public Upload {
 public:
  LocalUpload(std::shared_ptr<Core> core, std::shared_ptr<UploadSession> session, base::Loop& loop);
  ~LocalUpload() override;

  [[nodiscard]] const std::string& id() const override { return session_->id(); }
  void length(Done<std::uint64_t> done) override;
  void append(std::shared_ptr<const std::string> bytes, Done<std::uint64_t> done) override;
  void finish(const base::Digest& digest, Done<void> done) override;
  void cancel(Done<void> done) override;

 private:
  // Runs `op(session, answer)` on the session's strand, unless somebody else is in charge by then.
  template <class T, class Op>
  void run(Done<T> done, Op op, UploadSession::Read read = UploadSession::Read::first);

  const std::shared_ptr<Core> core_;
  const std::shared_ptr<UploadSession> session_;
  const std::uint64_t holder_;
  base::Loop& loop_;
  std::unordered_set<std::shared_ptr<void>> callbacks_;  // Done<T>s that have not run
};

}  // namespace shoal::store
