// Connection: one TCP or TLS connection of an Engine, and the request that it carries. Job: a request on its way.
#pragma once

#include <memory>
#include <string>

#include "engine.h"

namespace shoal::bench {

struct Job {
  Ask ask;
  Engine::Done done;
  Answer answer;
  std::size_t address = 0;  // of the route's: the next to try
  bool fresh = false;       // not over a kept connection: one has failed already
};

class Connection {
 public:
  enum class State { connecting, handshaking, sending, head, body, idle, over };

  Connection(Engine& engine, const Route& route, std::size_t address);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  void open(std::unique_ptr<Job> job);
  void ask(std::unique_ptr<Job> job);  // while idle
  void ready();                        // its socket has something
  void expire(Time now);               // ends what takes too long

  [[nodiscard]] State state() const { return state_; }
  [[nodiscard]] const Route& route() const { return route_; }
  [[nodiscard]] bool answered() const { return answered_; }  // a byte of the answer came
  [[nodiscard]] bool unheard() const { return tls_more_; }   // decrypted bytes wait
  // When `over`, or `idle` after a request: the job, whose answer is complete.
  [[nodiscard]] std::unique_ptr<Job> take_job() { return std::move(job_); }

 private:
  void step();
  void check_connected();
  void shake_hands();
  void send_request();
  void read_head();
  void take_head(std::size_t size);
  void begin_body(std::string_view early);
  void read_body();
  void drop_body();
  void take_body(std::string_view bytes);
  void take_content(std::string_view bytes);
  void body_ended();
  void finish();
  void fail(std::string error);
  void wait_for(std::uint32_t events);
  // Bytes; 0: the end; -1: nothing now, or it has failed (state over).
  [[nodiscard]] long receive(char* into, std::size_t room);
  [[nodiscard]] long transmit(std::string_view bytes);

  Engine& engine_;
  const Route& route_;
  const std::size_t address_;
  int fd_ = -1;
  std::unique_ptr<tls::ClientConnection> tls_;
  State state_ = State::connecting;
  std::uint32_t events_ = 0;
  Time since_{};  // of the last progress
  std::unique_ptr<Job> job_;
  std::string out_;  // the request's head
  std::size_t sent_ = 0;
  std::string head_;
  std::unique_ptr<ChunkReader> chunks_;
  std::uint64_t left_ = 0;
  bool to_the_end_ = false;  // the body ends with the connection
  bool keep_ = false;
  bool answered_ = false;
  bool tls_more_ = false;
};

}  // namespace shoal::bench
