// PushExchange: what every push and removal shares: Locations, and what a store's error means to a pusher.
// OCI distribution-spec "Push", "Content management".
#pragma once

#include "exchange.h"

namespace shoal::serve {

class PushExchange : public Exchange {
 public:
  PushExchange(const DistributionHandler::Parts& parts, const http::Request& request, http::Responder responder,
               Subject subject, PushKind kind, std::string repository);

 protected:
  [[nodiscard]] std::string upload_location(const std::string& session) const;
  [[nodiscard]] std::string blob_location(const base::Digest& digest) const;
  void refuse_store_error(const base::Error& error);
  void refuse_body_error(const base::Error& error);  // nothing when the client left: no one to tell
  void answer_blob(const base::Digest& digest);      // 201
  void refuse_too_large(std::uint64_t most);
  // `go` when it is known how much room the repository's quota leaves: at once, or when it has been measured.
  void with_quota(base::UniqueFunction<void()> go);
  [[nodiscard]] bool within_quota(std::uint64_t more);  // false: refused
  void count_quota(std::uint64_t bytes);                // they are in

  std::string repository_;

 private:
  std::uint64_t quota_used_ = 0;
};

// One whose body goes into an upload session, a few chunks at a time. The session stays at what was appended, whatever
// becomes of the request.
class UploadExchange : public PushExchange {
 public:
  using PushExchange::PushExchange;

 protected:
  // Takes charge of a session; `ready` runs when its length is known. Refuses (and nothing more happens) if it has
  // none, or if Content-Range does not go on where it ends: before any byte is taken.
  void resume(const std::string& session, std::string content_range, base::UniqueFunction<void()> ready);
  // Appends the body to upload_; `fed` runs when all of it is written.
  void feed(base::UniqueFunction<void()> fed);
  [[nodiscard]] http::Response begin_upload_answer(int status, const std::string& session) const;  // Location, Range
  void finish(const base::Digest& digest);  // of upload_; answers

  std::unique_ptr<store::Upload> upload_;
  std::uint64_t length_ = 0;    // of the session
  std::uint64_t received_ = 0;  // of this request's body

 private:
  void pump();
  void took(const http::RequestBody::Chunk& chunk);
  void settle();
  void stop() { stopped_ = true; }
  [[nodiscard]] bool fits(std::uint64_t more) const;

  base::UniqueFunction<void()> fed_;
  std::optional<std::uint64_t> expected_;  // of the body, by Content-Range
  int in_flight_ = 0;
  bool reading_ = false, ended_ = false, stopped_ = false;
};

}  // namespace shoal::serve
