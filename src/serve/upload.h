// The operations on upload sessions. OCI distribution-spec "Pushing blobs"; one class per method.
#pragma once

#include "push_exchange.h"

namespace shoal::serve {

// POST: a session; or with ?digest= the whole blob; or with ?mount= a blob of another repository.
class UploadStart final : public UploadExchange {
 public:
  UploadStart(const DistributionHandler::Parts& parts, const http::Request& request, http::Responder responder,
              std::string repository, std::string query);
  ~UploadStart() override;
  void start();

 private:
  void mount(const base::Digest& digest, const std::string& from);
  void link_blob(const base::Digest& digest, const std::string& from);
  void open_session();
  void take_whole(const base::Digest& digest);
  std::string query_;
  bool unnamed_ = false;  // the client does not know the session: nobody else will end it
};

// PATCH: a chunk, or a stream without Content-Range.
class UploadChunk final : public UploadExchange {
 public:
  UploadChunk(const DistributionHandler::Parts& parts, const http::Request& request, http::Responder responder,
              std::string repository, std::string session);
  void start();

 private:
  std::string session_, content_range_;
};

// PUT: perhaps a last chunk, and the digest of it all.
class UploadFinish final : public UploadExchange {
 public:
  UploadFinish(const DistributionHandler::Parts& parts, const http::Request& request, http::Responder responder,
               std::string repository, std::string session, const std::string& query);
  void start();

 private:
  std::string session_, content_range_;
  std::optional<std::string> digest_;
};

// GET: how far it is.
class UploadStatus final : public UploadExchange {
 public:
  UploadStatus(const DistributionHandler::Parts& parts, const http::Request& request, http::Responder responder,
               std::string repository, std::string session);
  void start();

 private:
  std::string session_;
};

// DELETE.
class UploadCancel final : public UploadExchange {
 public:
  UploadCancel(const DistributionHandler::Parts& parts, const http::Request& request, http::Responder responder,
               std::string repository, std::string session);
  void start();

 private:
  std::string session_;
};

}  // namespace shoal::serve
