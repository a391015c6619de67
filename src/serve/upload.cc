#include "upload.h"

#include "shoal/registry/name.h"

namespace shoal::serve {

UploadStart::UploadStart(const DistributionHandler::Parts& parts, const http::Request& request,
                         http::Responder responder, std::string repository, std::string query)
    : UploadExchange(parts, request, std::move(responder), Subject::upload, PushKind::session, std::move(repository)),
      query_(std::move(query)) {}

UploadStart::~UploadStart() {
  if (!unnamed_ || !upload_) return;
  upload_->cancel([](base::Result<void>) {});
  quota_ended(/*stored=*/false);
}

void UploadStart::start() {
  const auto wanted = registry::query_value(query_, "mount");
  if (const auto digest = wanted ? base::Digest::parse(*wanted) : base::Error(base::ErrorKind::invalid, {}); digest) {
    return mount(*digest, registry::query_value(query_, "from").value_or(""));
  }
  if (const auto text = registry::query_value(query_, "digest"); text && !wanted) {
    const auto digest = base::Digest::parse(*text);
    if (!digest) return refuse(400, "DIGEST_INVALID", digest.error().message());
    return take_whole(*digest);
  }
  open_session();
}

void UploadStart::mount(const base::Digest& digest, const std::string& from) {
  const bool may = from.empty() ? caller_.hosted->anonymous_mount
                                : registry::valid_repository(from) && caller_.may(from, auth::Action::pull);
  if (!may) return open_session();
  count_push(PushKind::mount);
  const auto& store = *parts_.store;
  const auto link = store.find_link(repository_, digest);
  const auto source = store.find_link(from, digest);
  const auto blob = store.find_blob(digest);
  // What the repository shows already takes no room of a quota; of what cannot be mounted, a refusal must not tell.
  const bool there = blob && (from.empty() ? blob->hosted : source && source->proven);
  if (!there || (link && link->hosted)) return link_blob(digest, from);
  with_quota(blob->size, [this, digest, from] { link_blob(digest, from); });
}

void UploadStart::link_blob(const base::Digest& digest, const std::string& from) {
  std::vector<obs::Event> events;
  if (auto event = begin_event(obs::EventKind::mount, obs::EventObject::blob)) {
    event->digest = digest.to_string();
    event->media_type = "application/octet-stream";
    event->from = from;
    const auto blob = parts_.store->find_blob(digest);
    event->size = blob ? blob->size : 0;
    events.push_back(std::move(*event));
  }
  storing();
  parts_.store->hosted().mount(repository_, digest, from, parts_.loop,
                               announced(std::move(events), [this, digest](const base::Result<void>& result) {
                                 quota_ended(result.ok());
                                 if (result.ok()) return answer_blob(digest);
                                 open_session();  // whatever the reason: the client can still send it
                               }));
}

void UploadStart::open_session() {
  count_push(PushKind::session);
  auto upload = parts_.store->hosted().begin_upload(repository_, parts_.loop);
  if (!upload) return refuse_store_error(upload.error());
  send(begin_upload_answer(202, (*upload)->id()));
}

void UploadStart::take_whole(const base::Digest& digest) {
  count_push(PushKind::blob);
  auto upload = parts_.store->hosted().begin_upload(repository_, parts_.loop);
  if (!upload) return refuse_store_error(upload.error());
  upload_ = std::move(*upload);
  unnamed_ = true;
  feed([this, digest] {
    // Some clients name the digest and send the bytes with a PUT.
    if (received_ == 0 && digest != base::digest_of("", digest.algorithm())) {
      unnamed_ = false;
      return send(begin_upload_answer(202, upload_->id()));
    }
    unnamed_ = false;
    finish(digest);
  });
}

UploadChunk::UploadChunk(const DistributionHandler::Parts& parts, const http::Request& request,
                         http::Responder responder, std::string repository, std::string session)
    : UploadExchange(parts, request, std::move(responder), Subject::upload, PushKind::session, std::move(repository)),
      session_(std::move(session)),
      content_range_(request.headers.get("content-range")) {}

void UploadChunk::start() {
  resume(session_, content_range_, [this] { feed([this] { send(begin_upload_answer(202, session_)); }); });
}

UploadFinish::UploadFinish(const DistributionHandler::Parts& parts, const http::Request& request,
                           http::Responder responder, std::string repository, std::string session,
                           const std::string& query)
    : UploadExchange(parts, request, std::move(responder), Subject::upload, PushKind::blob, std::move(repository)),
      session_(std::move(session)),
      content_range_(request.headers.get("content-range")),
      digest_(registry::query_value(query, "digest")) {}

void UploadFinish::start() {
  if (!digest_) return refuse(400, "DIGEST_INVALID", "the upload ends with ?digest=, and there is none");
  const auto digest = base::Digest::parse(*digest_);
  if (!digest) return refuse(400, "DIGEST_INVALID", digest.error().message());
  resume(session_, content_range_, [this, wanted = *digest] { feed([this, wanted] { finish(wanted); }); });
}

UploadStatus::UploadStatus(const DistributionHandler::Parts& parts, const http::Request& request,
                           http::Responder responder, std::string repository, std::string session)
    : UploadExchange(parts, request, std::move(responder), Subject::upload, PushKind::session, std::move(repository)),
      session_(std::move(session)) {}

void UploadStatus::start() {
  resume(session_, {}, [this] { send(begin_upload_answer(204, session_)); });
}

UploadCancel::UploadCancel(const DistributionHandler::Parts& parts, const http::Request& request,
                           http::Responder responder, std::string repository, std::string session)
    : UploadExchange(parts, request, std::move(responder), Subject::upload, PushKind::session, std::move(repository)),
      session_(std::move(session)) {}

void UploadCancel::start() {
  auto upload = parts_.store->hosted().resume_upload(repository_, session_, parts_.loop);
  if (!upload) return refuse(404, "BLOB_UPLOAD_UNKNOWN", "no such upload; it may be finished, cancelled or too old");
  upload_ = std::move(*upload);
  upload_->cancel([this](base::Result<void> result) {
    if (!result) return refuse_store_error(result.error());
    forget_promise(session_);
    send(begin(204));
  });
}

}  // namespace shoal::serve
