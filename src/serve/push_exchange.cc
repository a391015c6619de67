#include "push_exchange.h"

#include "quota.h"
#include "shoal/base/format.h"
#include "shoal/registry/push.h"

namespace shoal::serve {
namespace {

constexpr int kInFlight = 4;  // appends at once: the disk writes while the network delivers
// So long a promise holds when its request goes: the rest of a push has to fit; what the store is at will be measured.
constexpr std::chrono::minutes kRest{10}, kStoring{1};

}  // namespace

PushExchange::PushExchange(const DistributionHandler::Parts& parts, const http::Request& request,
                           http::Responder responder, Subject subject, PushKind kind, std::string repository)
    : Exchange(parts, request, std::move(responder), subject, repository), repository_(std::move(repository)) {
  count_push(kind);
}

// No state in it: it is good for the whole session.
std::string PushExchange::upload_location(const std::string& session) const {
  return base::format("/v2/{}/blobs/uploads/{}", repository_, session);
}

std::string PushExchange::blob_location(const base::Digest& digest) const {
  return base::format("/v2/{}/blobs/{}", repository_, digest.to_string());
}

void PushExchange::refuse_store_error(const base::Error& error) {
  using base::ErrorKind;
  switch (error.kind()) {
    case ErrorKind::cancelled: return refuse(409, "BLOB_UPLOAD_INVALID", "another request has taken over this upload");
    case ErrorKind::corrupt: return refuse(400, "DIGEST_INVALID", error.message());
    case ErrorKind::full: return refuse(507, "UNAVAILABLE", "there is no room: " + error.message());
    case ErrorKind::busy: {
      auto response = begin(429);
      response.headers.add("Retry-After", "5");
      return refuse(std::move(response), "TOOMANYREQUESTS", error.message());
    }
    case ErrorKind::invalid: return refuse(400, "UNSUPPORTED", error.message());
    default: break;
  }
  auto response = begin(503);
  response.headers.add("Retry-After", "30");
  refuse(std::move(response), "UNAVAILABLE", error.message());
}

void PushExchange::refuse_body_error(const base::Error& error) {
  using base::ErrorKind;
  switch (error.kind()) {
    case ErrorKind::timeout: return refuse(408, "BLOB_UPLOAD_INVALID", "the body stopped coming");
    case ErrorKind::full: return refuse(413, "SIZE_INVALID", error.message());
    case ErrorKind::invalid: return refuse(400, "SIZE_INVALID", error.message());
    default: return;
  }
}

void PushExchange::answer_blob(const base::Digest& digest) {
  auto response = begin(201);
  response.headers.add("Location", blob_location(digest));
  response.headers.add("Docker-Content-Digest", digest.to_string());
  send(std::move(response));
}

void PushExchange::refuse_too_large(std::uint64_t most) {
  refuse(413, "SIZE_INVALID", base::format("more than {} bytes are not taken here", most));
}

struct PushExchange::QuotaQuestion {
  Quota quota;
  std::uint64_t bytes;
  base::SteadyTime since;
  base::UniqueFunction<void()> go;
};

PushExchange::~PushExchange() {
  if (quota_.empty()) return;
  if (own_key_ && !storing_) {
    caller_.quotas->drop(quota_, quota_key_);
  } else {
    caller_.quotas->rest(quota_, quota_key_, parts_.clock.steady_now() + (storing_ ? kStoring : kRest));
  }
}

void PushExchange::with_quota(std::uint64_t bytes, base::UniqueFunction<void()> go) {
  const auto* quota = quota_of(*caller_.hosted, repository_);
  if (quota == nullptr) return go();
  if (quota_key_.empty()) {
    quota_key_ = caller_.quotas->new_key();
    own_key_ = true;
  }
  quota_ = quota->repositories;
  ask_quota(std::make_shared<QuotaQuestion>(QuotaQuestion{*quota, bytes, parts_.clock.steady_now(), std::move(go)}));
}

void PushExchange::ask_quota(std::shared_ptr<QuotaQuestion> question) {
  // Shared with the waiter, which the book may keep or drop on other threads; it is used here alone.
  auto again = [loop = &parts_.loop, watch = life_.watch(), this, question] {
    loop->post([watch, this, question] {
      if (!watch.gone()) ask_quota(question);
    });
  };
  const auto [answer, used] = caller_.quotas->ask(question->quota, quota_key_, question->bytes, question->since,
                                                  parts_.clock.steady_now(), std::move(again));
  awaits_quota_ = answer != QuotaBook::Answer::granted;
  switch (answer) {
    case QuotaBook::Answer::granted: return question->go();
    case QuotaBook::Answer::wait: return;
    case QuotaBook::Answer::measure: return measure_quota_for(question);
    case QuotaBook::Answer::refused: break;
  }
  quota_ended(/*stored=*/false);
  quota_refused();
  refuse(413, "DENIED",
         base::format("the quota of {} is {} bytes; {} are used or promised to pushes under way, and this needs {}",
                      question->quota.repositories, question->quota.bytes, used, question->bytes));
}

// The book hears of it whatever becomes of this request: others wait for the same.
void PushExchange::measure_quota_for(const std::shared_ptr<QuotaQuestion>& question) {
  parts_.pool->post([gate = parts_.pool_gate, loop = &parts_.loop, watch = life_.watch(), this, question,
                     hosted = &parts_.store->hosted(), options = caller_.hosted, book = caller_.quotas] {
    bool measured = false;
    gate->pass([&] {
      const auto bytes = measure_quota(*hosted, *options, question->quota);
      const auto answer = [&] {
        loop->post([watch, this, question, bytes] {
          if (watch.gone()) return;
          if (bytes) return ask_quota(question);
          quota_refused();
          refuse_store_error(bytes.error());
        });
      };
      measured = bytes.ok();
      if (!measured) return answer();
      book->measured(question->quota.repositories, *bytes, answer);
    });
    if (!measured) book->not_measured(question->quota.repositories);
  });
}

void PushExchange::forget_promise(const std::string& session) {
  if (const auto* quota = quota_of(*caller_.hosted, repository_)) caller_.quotas->drop(quota->repositories, session);
}

void PushExchange::quota_ended(bool stored) {
  if (quota_.empty()) return;
  if (stored) {
    caller_.quotas->stored(quota_, quota_key_);
  } else {
    caller_.quotas->drop(quota_, quota_key_);
  }
  quota_.clear();
  storing_ = false;
}

void UploadExchange::resume(const std::string& session, std::string content_range, base::UniqueFunction<void()> ready) {
  std::optional<registry::ChunkRange> range;
  if (!content_range.empty()) {
    range = registry::parse_chunk_range(content_range);
    if (!range) return refuse(400, "BLOB_UPLOAD_INVALID", "Content-Range must be <first>-<last>, without a unit");
    if (body_length() && *body_length() != range->size()) {
      return refuse(
          400, "SIZE_INVALID",
          base::format("Content-Range is of {} bytes, Content-Length says {}", range->size(), *body_length()));
    }
  }
  auto upload = parts_.store->hosted().resume_upload(repository_, session, parts_.loop);
  if (!upload) {
    if (upload.error().kind() != base::ErrorKind::not_found) return refuse_store_error(upload.error());
    return refuse(404, "BLOB_UPLOAD_UNKNOWN", "no such upload; it may be finished, cancelled or too old");
  }
  upload_ = std::move(*upload);
  upload_->length([this, range, ready = std::move(ready)](base::Result<std::uint64_t> length) mutable {
    if (!length) return refuse_store_error(length.error());
    length_ = *length;
    if (range && range->first != length_) {
      return refuse(begin_upload_answer(416, upload_->id()), "BLOB_UPLOAD_INVALID",
                    base::format("the chunk begins at {}, the upload has {} bytes", range->first, length_));
    }
    if (range) expected_ = range->size();
    ready();
  });
}

http::Response UploadExchange::begin_upload_answer(int status, const std::string& session) const {
  auto response = begin(status);
  response.headers.add("Location", upload_location(session));
  response.headers.add("Range", base::format("0-{}", length_ > 0 ? length_ - 1 : 0));
  response.headers.add("Docker-Upload-UUID", session);
  return response;
}

bool UploadExchange::fits(std::uint64_t more) const {
  const auto most = caller_.hosted->max_blob_bytes;
  return most == 0 || (length_ <= most && more <= most - length_);
}

void UploadExchange::feed(base::UniqueFunction<void()> fed) {
  if (!fits(body_length().value_or(0))) return refuse_too_large(caller_.hosted->max_blob_bytes);
  fed_ = std::move(fed);
  name_push(upload_->id());
  with_quota(length_ + body_length().value_or(0), [this] { pump(); });
}

void UploadExchange::pump() {
  if (stopped_ || ended_ || reading_ || awaits_quota() || in_flight_ >= kInFlight) return;
  reading_ = true;
  read_body([this](base::Result<http::RequestBody::Chunk> chunk) {
    reading_ = false;
    if (stopped_) return;
    if (!chunk) {
      stop();
      return refuse_body_error(chunk.error());
    }
    if (*chunk) return took(*chunk);
    ended_ = true;
    settle();
  });
}

void UploadExchange::took(const http::RequestBody::Chunk& chunk) {
  received_ += chunk->size();
  if (expected_ && received_ > *expected_) {
    stop();
    return refuse(400, "SIZE_INVALID", "the body is longer than its Content-Range");
  }
  if (!fits(chunk->size())) {
    stop();
    return refuse_too_large(caller_.hosted->max_blob_bytes);
  }
  with_quota(length_ + chunk->size(), [this, chunk] { append(chunk); });
}

void UploadExchange::append(const http::RequestBody::Chunk& chunk) {
  if (stopped_) return;
  length_ += chunk->size();
  ++in_flight_;
  upload_->append(chunk, [this](base::Result<std::uint64_t> length) {
    --in_flight_;
    if (stopped_) return;
    if (!length) {
      stop();
      if (length.error().kind() == base::ErrorKind::full) return give_room_back(length.error());
      return refuse_store_error(length.error());
    }
    if (ended_) return settle();
    pump();
  });
  pump();
}

// Clients begin again after an error; what is here of this upload would only keep others from pushing, too.
void UploadExchange::give_room_back(const base::Error& why) {
  upload_->cancel([](base::Result<void>) {});
  forget_promise(upload_->id());
  refuse_store_error(base::Error(why.kind(), why.message() + "; the upload is over, and what came of it is dropped"));
}

void UploadExchange::settle() {
  if (stopped_ || in_flight_ > 0) return;
  stop();
  if (expected_ && received_ != *expected_) {
    return refuse(400, "SIZE_INVALID", "the body is shorter than its Content-Range");
  }
  fed_();
}

void UploadExchange::finish(const base::Digest& digest) {
  storing();
  upload_->finish(digest, [this, digest](base::Result<void> result) {
    quota_ended(result.ok());
    if (!result) return refuse_store_error(result.error());
    if (auto event = begin_event(obs::EventKind::push, obs::EventObject::blob)) {
      event->digest = digest.to_string();
      event->media_type = "application/octet-stream";
      event->size = length_;
      parts_.events->publish(std::move(*event));
    }
    answer_blob(digest);
  });
}

}  // namespace shoal::serve
