// Exchange: one HTTP request and its answer between two nodes. Both sides hold it; each may go first.
#pragma once

#include <optional>

#include "shoal/base/byte_source.h"
#include "wire.h"

namespace shoal::sim {

class Exchange final : public http::Responder::Target, public std::enable_shared_from_this<Exchange> {
 public:
  Exchange(Wire& wire, int from, fetch::Request request, fetch::Sink& sink);
  ~Exchange();

  void call();
  void resume();       // the client takes more
  void client_left();  // it dropped its transfer
  void server_died();
  void client_died();
  [[nodiscard]] int from() const { return from_; }
  [[nodiscard]] int to() const { return to_; }
  [[nodiscard]] const std::string& target() const { return target_; }

 private:
  void respond(std::uint64_t exchange, http::Response response) override;
  void arrive();
  void deliver_head();
  void pump();
  void bring(std::string bytes);
  void deliver(std::string bytes);
  void finish(base::Result<void> result);
  void fail_later(std::chrono::nanoseconds delay, base::Error error);
  void arm(std::chrono::milliseconds timeout, const char* what);
  void let_server_go(bool complete);
  [[nodiscard]] bool spoil(std::string& bytes) const;
  // When what is under way between the two arrives: `run` waits while the link is cut.
  void when_there(base::SteadyTime when, int owner, base::UniqueFunction<void()> run);

  Wire& wire_;
  const int from_, to_;
  fetch::Request request_;
  std::string target_;
  fetch::Sink* sink_;  // null: the client has left, or was told the end
  std::shared_ptr<Life> server_;
  std::optional<World::Key> timeout_;
  // The server's.
  std::unique_ptr<http::Operation> operation_;
  http::Response response_;
  bool responded_ = false, serving_ = false, pulling_ = false;
  std::optional<std::uint64_t> left_;  // of Content-Length
  // The client's.
  bool paused_ = false, head_taken_ = false;
  int status_ = 0;
  std::uint64_t taken_ = 0;
  std::string waiting_;  // came while it was paused
};

}  // namespace shoal::sim
