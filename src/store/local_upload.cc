#include "local_upload.h"

namespace shoal::store {

LocalUpload::LocalUpload(std::shared_ptr<Core> core, std::shared_ptr<UploadSession> session, base::Loop& loop)
    : core_(std::move(core)), session_(std::move(session)), holder_(session_->take_charge()), loop_(loop) {
  session_->touch(core_->clock.wall_now());
}

LocalUpload::~LocalUpload() {
  if (session_->over()) return;
  session_->run([holder = holder_](UploadSession& session) { session.rest(holder); }, UploadSession::Read::not_needed);
}

template <class T, class Op>
void LocalUpload::run(Done<T> done, Op op, UploadSession::Read read) {
  session_->touch(core_->clock.wall_now());
  auto held = std::make_shared<Done<T>>(std::move(done));
  callbacks_.insert(held);
  UploadSession::Answer<T> answer = [this, loop = &loop_, weak = std::weak_ptr<Done<T>>(held)](base::Result<T> result) {
    loop->post([this, weak, result = std::move(result)]() mutable {
      const auto callback = weak.lock();
      if (callback == nullptr) return;  // this object is gone
      callbacks_.erase(callback);
      if (*callback) (*callback)(std::move(result));
    });
  };
  session_->run(
      [holder = holder_, op = std::move(op), answer = std::move(answer)](UploadSession& session) mutable {
        if (const auto refused = session.refuses(holder)) return answer(*refused);
        op(session, std::move(answer));
      },
      read);
}

void LocalUpload::length(Done<std::uint64_t> done) {
  run<std::uint64_t>(std::move(done), [](UploadSession& session, auto answer) { answer(session.length()); });
}

void LocalUpload::append(std::shared_ptr<const std::string> bytes, Done<std::uint64_t> done) {
  run<std::uint64_t>(std::move(done), [bytes = std::move(bytes)](UploadSession& session, auto answer) {
    session.append(*bytes, std::move(answer));
  });
}

void LocalUpload::finish(const base::Digest& digest, Done<void> done) {
  run<void>(std::move(done),
            [digest](UploadSession& session, auto answer) { session.finish(digest, std::move(answer)); });
}

void LocalUpload::cancel(Done<void> done) {
  run<void>(
      std::move(done),
      [](UploadSession& session, auto answer) {
        session.cancel();
        answer({});
      },
      UploadSession::Read::not_needed);
}

}  // namespace shoal::store
