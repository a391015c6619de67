// Connection: one client. Requests in, one exchange at a time, answers out. Owned by its server (or a test) through a
// shared_ptr, because responders hold it weakly; lives on one loop; closes its stream when it goes.
//
//   idle -> head -> body -> handling -> sending -> idle ... -> lingering -> closed
//
// body: dropped or buffered whole before the handler runs. A streamed body arrives while handling (receiving_): its
// bytes go from the parser into body_, from where the operation reads them.
//
// lingering: our FIN is sent, the client's bytes are still read and dropped, so that closing does not reset the
// connection under an answer the client has not read yet.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "request_parser.h"
#include "response_head.h"
#include "response_writer.h"
#include "shoal/base/loop.h"
#include "shoal/http/server.h"
#include "streamed_body.h"

namespace shoal::http {

class Connection;

// What the connections of one server share. Outlives them.
struct ConnectionContext {
  base::Loop& loop;
  base::Executor& disk;
  Handler& handler;
  const ServerOptions& options;
  base::UniqueFunction<void(Connection&)> closed;  // once for each; drops the owner's reference
  DateText date{};
  ResidentPages resident{};
  bool draining = false;
};

class Connection final : public Responder::Target, public std::enable_shared_from_this<Connection> {
 public:
  Connection(ConnectionContext& context, std::unique_ptr<net::Stream> stream, bool secure = false);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  void start();
  void check_deadline(base::SteadyTime now);
  void drain();              // closes if idle; otherwise after the running exchange
  void cut(EndCause cause);  // resets at once
  void respond(std::uint64_t exchange, Response response) override;

  std::size_t slot = 0;  // the owner's

 private:
  enum class State : std::uint8_t { idle, head, body, handling, sending, lingering, closed };
  void enter(State next);

  // connection_input.cc: bytes to requests
  void on_data(base::Result<std::string_view> data);
  void take(std::string_view bytes);
  void parse(std::string_view bytes);
  void parse_kept();
  void parse_kept_later();
  void read_on();
  [[nodiscard]] bool more_input() const { return unread_input_ || !kept_.empty(); }
  void keep(std::string_view bytes);
  void peer_ended();
  void begin_body();
  void begin_without_body();
  void begin_streamed_body();
  void begin_exchange();
  void refuse(int status, std::string_view reason);

  // connection_body.cc: a streamed body, from the socket to its reader
  void receive(std::string_view bytes);
  void feed_body(std::string_view bytes);
  void feed_kept();
  void break_body(base::Error error);
  void abandon_body();
  void body_wanted();
  void lost() { cut(EndCause::client); }
  void stop_reading();
  [[nodiscard]] bool send_continue();

  // connection_output.cc: answers to bytes
  void start_response(Response response);
  void advance();
  void resume_output();
  void wait_for_socket();
  void wait_for_source();
  void load_pages();
  void finish_exchange();
  void end_exchange(EndCause cause);
  void linger();
  void still_sending();
  void close();
  template <class T>
  void drop_soon(std::unique_ptr<T> object);

  ConnectionContext& context_;
  std::unique_ptr<net::Stream> stream_;
  RequestParser parser_;
  ResponseWriter writer_;
  std::shared_ptr<StreamedBody> body_;  // of the running exchange; shared with its operation
  std::unique_ptr<Operation> operation_;
  std::optional<Response> early_;  // the answer given inside handle()
  base::UniqueFunction<void(const ExchangeEnd&)> on_end_;
  std::string kept_;  // pipelined bytes that wait for their turn
  base::SteadyTime deadline_ = base::SteadyTime::max();
  base::SteadyTime linger_began_{};
  base::SteadyTime started_{};
  std::chrono::microseconds first_byte_{0};
  std::uint64_t exchange_ = 0;
  std::uint64_t discarded_ = 0;
  State state_ = State::idle;
  bool in_handle_ = false;
  bool in_foreign_call_ = false;  // a handler's or a source's code is below us on the stack: drop nothing of theirs
  bool close_after_ = false;
  bool unread_input_ = false;  // bytes behind the running request: the next one, or what we will not read
  bool peer_ended_ = false;
  bool reads_stopped_ = false;
  bool receiving_ = false;    // the end of body_ is still to come
  bool body_broken_ = false;  // with receiving_: what else comes of it is not looked at
  bool owes_continue_ = false;
  bool wrote_first_byte_ = false;
};

}  // namespace shoal::http
