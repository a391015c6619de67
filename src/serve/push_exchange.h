// PushExchange: what every push and removal shares: Locations, and what a store's error means to a pusher.
// OCI distribution-spec "Push", "Content management".
#pragma once

#include "exchange.h"

namespace shoal::serve {

class PushExchange : public Exchange {
 public:
  PushExchange(const DistributionHandler::Parts& parts, const http::Request& request, http::Responder responder,
               Subject subject, PushKind kind, std::string repository);
  ~PushExchange() override;

 protected:
  [[nodiscard]] std::string upload_location(const std::string& session) const;
  [[nodiscard]] std::string blob_location(const base::Digest& digest) const;
  void refuse_store_error(const base::Error& error);
  void refuse_body_error(const base::Error& error);  // nothing when the client left: no one to tell
  void answer_blob(const base::Digest& digest);      // 201
  void refuse_too_large(std::uint64_t most);
  // `go` when the repository's quota has room for `bytes` in all for this push: at once, or when it has been measured.
  // Refuses otherwise, and nothing more happens. They are promised until quota_ended().
  void with_quota(std::uint64_t bytes, base::UniqueFunction<void()> go);
  void name_push(std::string session) { quota_key_ = std::move(session); }  // a promise may outlive the request then
  void storing() { storing_ = true; }  // the store is at it, and goes on even if the client leaves
  void quota_ended(bool stored);
  void forget_promise(const std::string& session);  // it was cancelled
  [[nodiscard]] bool awaits_quota() const { return awaits_quota_; }
  virtual void quota_refused() {}  // just before with_quota() refuses

  std::string repository_;

 private:
  struct QuotaQuestion;
  void ask_quota(std::shared_ptr<QuotaQuestion> question);
  void measure_quota_for(const std::shared_ptr<QuotaQuestion>& question);

  std::string quota_;      // the pattern of the promise; "": none
  std::string quota_key_;  // of this push
  bool own_key_ = false;   // nobody else knows it
  bool storing_ = false;
  bool awaits_quota_ = false;
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
  void append(const http::RequestBody::Chunk& chunk);
  void give_room_back(const base::Error& why);
  void settle();
  void stop() { stopped_ = true; }
  void quota_refused() override { stop(); }
  [[nodiscard]] bool fits(std::uint64_t more) const;

  base::UniqueFunction<void()> fed_;
  std::optional<std::uint64_t> expected_;  // of the body, by Content-Range
  int in_flight_ = 0;
  bool reading_ = false, ended_ = false, stopped_ = false;
};

}  // namespace shoal::serve
