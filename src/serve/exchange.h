// Exchange: one /v2/ request on its way to its answer. Holds what the answer and the log line need, and the mirror's
// pending work; dropping it (the client left) cancels that. Base of all operations. One loop.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "explain.h"
#include "pool_gate.h"
#include "shoal/http/server.h"
#include "shoal/serve/handler.h"

namespace shoal::serve {

// As the access log has it: "ok", or who or what cut the transfer. `stored`: the body came from the disk.
[[nodiscard]] std::string_view end_text(const http::ExchangeEnd& end, bool stored);

class QuotaBook;

// Who asks, and by which rules: fixed when the request came, whatever is reloaded meanwhile.
struct Caller {
  auth::Identity identity;
  std::shared_ptr<const Access> access;         // shared with the handler, until the next reload
  std::shared_ptr<const HostedOptions> hosted;  // the same
  std::shared_ptr<QuotaBook> quotas;            // the process's
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
  // `origins`: of the body, if it is a blob that still arrives.
  void explain(http::Response& response, const mirror::Provenance& provenance,
               std::shared_ptr<const mirror::Origins> origins = nullptr);
  void send(http::Response response);
  void refuse(const mirror::Refusal& refusal);
  void refuse(int status, std::string_view code, std::string_view message);
  void refuse(http::Response response, std::string_view code, std::string_view message);
  void refuse_method(std::string_view allow, std::string_view message);
  void refuse_range(http::Response response, std::uint64_t size);  // 416, its other headers given
  void count_push(PushKind kind);

  // For whoever wants to hear of it; nullopt: nobody does. Repository and request are filled in.
  [[nodiscard]] std::optional<obs::Event> begin_event(obs::EventKind kind, obs::EventObject object) const;
  // The body is the store's file: a failed read is told to the store.
  void sends_stored(const base::Digest& digest);
  // Published when the answer has left whole.
  void announce_at_end(std::optional<obs::Event> event);
  // `done`, for what the store answers: published first if it went well, even when the client has left meanwhile.
  template <class F>
  [[nodiscard]] auto announced(std::vector<obs::Event> events, F done) {
    return [sink = parts_.events, events = std::move(events),
            done = guarded(std::move(done))](base::Result<void> result) mutable {
      if (result.ok()) {
        for (auto& event : events) sink->publish(std::move(event));
      }
      done(std::move(result));
    };
  }

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
  base::Lifetime life_;

 private:
  struct Record;
  static mirror::BytesFrom bytes_from(const Record& record, std::uint64_t sent);
  static void write_line(Record& record, const http::ExchangeEnd& end);
  void send_after_body(http::Response response, std::size_t drained);
  void send_now(http::Response response);

  http::Method method_;
  http::Responder responder_;
  std::shared_ptr<Record> record_;           // shared with the response's on_end, which outlives this
  std::shared_ptr<http::RequestBody> body_;  // shared with the connection; null: none, at its end, or broken
  std::optional<std::uint64_t> body_length_;
  bool reading_ = false;
  bool waits_for_continue_ = false;  // the client sends no body before it was asked to
};

}  // namespace shoal::serve
