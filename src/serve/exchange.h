// Exchange: one /v2/ request on its way to its answer. Holds what the answer and the log line need, and the mirror's
// pending work; dropping it (the client left) cancels that. Base of the operations in *_get.cc. One loop.
#pragma once

#include <memory>
#include <string>

#include "explain.h"
#include "shoal/http/server.h"
#include "shoal/serve/handler.h"

namespace shoal::serve {

class Exchange : public http::Operation {
 public:
  Exchange(const DistributionHandler::Parts& parts, const http::Request& request, http::Responder responder,
           Subject subject, std::string repository);
  ~Exchange() override;  // unanswered: the client left first; that is a log line too

 protected:
  [[nodiscard]] bool is_head() const { return method_ == http::Method::head; }
  // A response with the headers that every /v2/ answer has.
  [[nodiscard]] http::Response begin(int status) const;
  void explain(http::Response& response, const mirror::Provenance& provenance);
  void send(http::Response response);
  void refuse(const mirror::Refusal& refusal);
  void refuse(int status, std::string_view code, std::string_view message);
  void refuse_range(http::Response response, std::uint64_t size);  // 416, its other headers given

  DistributionHandler::Parts parts_;
  std::string range_, if_range_, if_none_match_;
  std::string namespace_;  // to answer as OCI-Namespace; "" if the client did not ask by ns
  std::unique_ptr<mirror::Pending> pending_;

 private:
  struct Record;
  static void write_line(const Record& record, const http::ExchangeEnd& end);
  http::Method method_;
  http::Responder responder_;
  std::shared_ptr<Record> record_;  // shared with the response's on_end, which outlives this

 public:
  void set_namespace(std::string name) { namespace_ = std::move(name); }
};

}  // namespace shoal::serve
