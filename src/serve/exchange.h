// Exchange: one /v2/ request on its way to its answer. Holds what the answer and the log line need, and the mirror's
// pending work; dropping it (the client left) cancels that. Base of all operations. One loop.
#pragma once

#include <memory>
#include <string>

#include "explain.h"
#include "pool_gate.h"
#include "shoal/http/server.h"
#include "shoal/serve/handler.h"

namespace shoal::serve {

class QuotaBook;

// Who asks, and by which rules: fixed when the request came, whatever is reloaded meanwhile.
struct Caller {
  auth::Identity identity;
  std::shared_ptr<const Access> access;         // shared with the handler, until the next reload
  std::shared_ptr<const HostedOptions> hosted;  // the same
  std::shared_ptr<QuotaBook> quotas;            // the handler's
  [[nodiscard]] bool may(std::string_view repository, auth::Action action) const;
};

class Exchange : public http::Operation {
 public:
  Exchange(const DistributionHandler::Parts& parts, const http::Request& request, http::Responder responder,
           Subject subject, std::string repository);
  ~Exchange() override;  // unanswered: the client left first; that is a log line too

  // Before start().
  void set_namespace(std::string name) { namespace_ = std::move(name); }
  void set_caller(Caller caller);

 protected:
  [[nodiscard]] bool is_head() const { return method_ == http::Method::head; }
  // A response with the headers that every /v2/ answer has.
  [[nodiscard]] http::Response begin(int status) const;
  void explain(http::Response& response, const mirror::Provenance& provenance);
  void send(http::Response response);
  void refuse(const mirror::Refusal& refusal);
  void refuse(int status, std::string_view code, std::string_view message);
  void refuse(http::Response response, std::string_view code, std::string_view message);
  void refuse_method(std::string_view allow, std::string_view message);
  void refuse_range(http::Response response, std::uint64_t size);  // 416, its other headers given
  void count_push(PushKind kind);

  // The next bytes of the request's body; null at its end. `done` runs later, unless this went first.
  void read_body(base::UniqueFunction<void(base::Result<http::RequestBody::Chunk>)> done);
  [[nodiscard]] std::optional<std::uint64_t> body_length() const;  // nullopt: unknown
  // `work()` on the pool, unless the handler went first; then `done(its result)` here, unless this went first.
  template <class Work, class Done>
  void on_pool(Work work, Done done) {
    parts_.pool->post([gate = parts_.pool_gate, loop = &parts_.loop, watch = life_.watch(), work = std::move(work),
                       done = std::move(done)]() mutable {
      gate->pass([&] {
        loop->post([watch, result = work(), done = std::move(done)]() mutable {
          if (!watch.gone()) done(std::move(result));
        });
      });
    });
  }
  // For callbacks that take one result and may come when this has gone.
  template <class F>
  [[nodiscard]] auto guarded(F done) {
    return [watch = life_.watch(), done = std::move(done)](auto result) mutable {
      if (!watch.gone()) done(std::move(result));
    };
  }
  // Gives the request away unanswered, to another operation.
  [[nodiscard]] http::Responder hand_over();

  DistributionHandler::Parts parts_;
  Caller caller_;
  std::string range_, if_range_, if_none_match_;
  std::string namespace_;  // to answer as OCI-Namespace; "" if the client did not ask by ns
  std::unique_ptr<mirror::Pending> pending_;

 private:
  struct Record;
  static void write_line(const Record& record, const http::ExchangeEnd& end);
  void send_after_body(http::Response response, std::size_t drained);
  void send_now(http::Response response);

  http::Method method_;
  http::Responder responder_;
  std::shared_ptr<Record> record_;           // shared with the response's on_end, which outlives this
  std::shared_ptr<http::RequestBody> body_;  // shared with the connection; null: none, at its end, or broken
  std::optional<std::uint64_t> body_length_;
  bool reading_ = false;
  bool waits_for_continue_ = false;  // the client sends no body before it was asked to
  base::Lifetime life_;
};

}  // namespace shoal::serve
