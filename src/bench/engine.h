// Engine: the client that measures. HTTP/1.1 over epoll on the thread that calls it, made to cost little: what a body
// holds is looked at only when somebody asks for it. Over plain TCP it is dropped inside the kernel (recv with
// MSG_TRUNC copies nothing); over TLS OpenSSL has to decrypt it first.
//
// One thread. What it calls back runs inside turn(), once per request, never inside start().
#pragma once

#include <sys/socket.h>

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "answer_head.h"
#include "schedule.h"
#include "shoal/base/digest.h"
#include "shoal/base/result.h"
#include "shoal/base/unique_function.h"
#include "shoal/fetch/url.h"
#include "shoal/tls/client.h"

namespace shoal::bench {

// Where requests go. Owned by the engine; lives as long as it does.
struct Route {
  fetch::Origin origin;
  std::string url;          // "http://127.0.0.1:5000"
  std::string host_header;  // without the default port
  std::vector<sockaddr_storage> addresses;
};

struct Ask {
  const Route* route = nullptr;
  std::string method = "GET";
  std::string path;           // with query
  std::string headers;        // lines, each with its CRLF
  std::string authorization;  // a value; not sent on to another host
  std::string_view body;      // the caller's, until done
  bool close = false;         // a connection of its own, and Connection: close
  std::size_t keep_body = 0;  // bytes of it to keep; a longer one is an error. 0: dropped
  base::Hasher* hasher = nullptr;
  std::optional<std::uint64_t> expected;  // bytes of a 2xx body: another number is an error
  unsigned redirects = 5;
  Time due{};  // when it should have begun; unset: when it did
};

struct Answer {
  std::string error;  // of the transport, or of an answer that is not whole; "": it came whole, whatever its status
  AnswerHead head;
  std::string body;         // with keep_body; of an answer other than 2xx its first 4 KiB
  std::uint64_t bytes = 0;  // of the body
  unsigned redirects = 0;
  bool reused = false;  // over a connection that was there
  // began: when start() was called. sent: when it had a connection, or one was opened for it.
  Time due{}, began{}, sent{}, first_byte{}, end{};  // first_byte: of the body; of the head if there is none
};

class Connection;
struct Job;

class Engine {
 public:
  struct Options {
    unsigned max_connections = 1024;  // further requests wait, and their time runs
    std::chrono::milliseconds connect_timeout{10'000};
    std::chrono::milliseconds first_byte_timeout{60'000};
    std::chrono::milliseconds stall_timeout{60'000};
    tls::ClientOptions tls;
  };
  using Done = base::UniqueFunction<void(Answer)>;

  explicit Engine(Options options);
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  // Resolves the name, once for each; blocks for that.
  [[nodiscard]] base::Result<const Route*> route(const std::string& url);
  void start(Ask ask, Done done);
  // Handles what has happened; when nothing has, waits for it until then at most. A signal ends the wait.
  void turn(Time until);
  void drop_all();  // connections and requests, without calling back
  // From now on; the limit until now.
  unsigned limit_connections(unsigned most) { return std::exchange(max_connections_, most); }

  [[nodiscard]] std::size_t running() const { return running_; }
  [[nodiscard]] std::uint64_t received() const { return received_; }  // bytes of bodies so far
  [[nodiscard]] std::uint64_t connected() const { return connected_; }
  [[nodiscard]] std::uint64_t waited() const { return waited_; }  // requests that found no connection free
  [[nodiscard]] const std::string& tls_session() const { return tls_session_; }  // of the last handshake; "" : none

 private:
  friend class Connection;
  void dispatch(std::unique_ptr<Job> job);
  void connect(std::unique_ptr<Job> job);
  void settle(Connection& connection);
  void end(std::unique_ptr<Job> job);
  [[nodiscard]] bool tried_again(std::unique_ptr<Job>& job);
  void redirect(std::unique_ptr<Job> job);
  void release(Connection& connection);
  void remove(Connection& connection);
  void look_for_timeouts(Time now);

  const Options options_;
  const int epoll_;
  unsigned max_connections_;
  std::shared_ptr<const tls::ClientContext> tls_;  // shared with the connections, which keep it
  std::string tls_session_;
  std::vector<char> buffer_;
  std::map<std::string, std::unique_ptr<Route>> routes_;
  std::unordered_map<Connection*, std::unique_ptr<Connection>> connections_;
  std::map<const Route*, std::vector<Connection*>> idle_;
  std::vector<std::unique_ptr<Connection>> dead_;  // until the turn ends: it may still have events for them
  std::vector<Connection*> again_;                 // have bytes that the socket does not tell of
  std::deque<std::unique_ptr<Job>> waiting_;
  std::deque<std::unique_ptr<Job>> failed_;  // at once; called back in the next turn
  Time now_{}, next_look_{};
  std::size_t running_ = 0;
  std::uint64_t received_ = 0, connected_ = 0, waited_ = 0;
};

}  // namespace shoal::bench
