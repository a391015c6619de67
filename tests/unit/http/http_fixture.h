// One Connection on a FakeStream, FakeLoop and FakeExecutor, with a handler the test scripts.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "connection.h"
#include "support/fake_loop.h"
#include "support/fake_stream.h"

namespace shoal::http {

class ScriptHandler : public Handler {
 public:
  BodyMode body_mode(const Request& request) override {
    if (streams && streams(request)) return BodyMode::stream;
    return wants && wants(request) ? BodyMode::buffer : BodyMode::drop;
  }
  std::unique_ptr<Operation> handle(const Request& request, Responder responder) override {
    seen.push_back(std::string(to_string(request.method)) + " " + request.target + " host=" + request.host +
                   " body=" + request.body);
    if (on_request) return on_request(request, std::move(responder));
    Response response;
    response.text = "hello " + request.target;
    response.on_end = [this](const ExchangeEnd& end) { ends.push_back(end); };
    responder.send(std::move(response));
    return nullptr;
  }
  std::function<bool(const Request&)> wants;
  std::function<bool(const Request&)> streams;
  std::function<std::unique_ptr<Operation>(const Request&, Responder)> on_request;
  std::vector<std::string> seen;
  std::vector<ExchangeEnd> ends;
};

struct Bench {
  explicit Bench(ServerOptions o = {}) : options(std::move(o)) { connect(); }
  ~Bench() {
    if (connection) connection->cut(EndCause::shutdown);
  }
  void connect() {
    wire = std::make_shared<test::FakeWire>();
    auto owned = std::make_unique<test::FakeStream>(loop, wire);
    stream = owned.get();
    connection = std::make_shared<Connection>(context, std::move(owned));
    connection->start();
  }
  // Delivers and runs the loop dry. Bytes after a close are dropped, as the kernel would.
  void send(std::string_view bytes, std::size_t portion = SIZE_MAX) {
    while (!bytes.empty()) {
      const auto part = bytes.substr(0, portion);
      bytes.remove_prefix(part.size());
      if (!wire->dropped) (void)stream->arrive(part);
      loop.run_all();
    }
  }
  void end() {
    if (!wire->dropped) (void)stream->end();
    loop.run_all();
  }
  void advance(std::chrono::milliseconds by) {
    loop.advance(by);
    if (connection) connection->check_deadline(loop.now());
    loop.run_all();
  }
  [[nodiscard]] bool open() const { return !wire->dropped; }
  // Status codes of the answers so far, e.g. "200 404".
  [[nodiscard]] std::string statuses() const {
    std::string out;
    for (std::size_t at = wire->sent.find("HTTP/1.1 "); at != std::string::npos;
         at = wire->sent.find("HTTP/1.1 ", at + 9)) {
      const auto code = wire->sent.substr(at + 9, 3);
      if (code.find_first_not_of("0123456789") == std::string::npos) out += (out.empty() ? "" : " ") + code;
    }
    return out;
  }

  ServerOptions options;
  test::FakeClock clock;
  test::FakeLoop loop{clock};
  test::FakeExecutor disk;
  ScriptHandler handler;
  std::shared_ptr<Connection> connection;
  ConnectionContext context{
      .loop = loop, .disk = disk, .handler = handler, .options = options, .closed = [this](Connection&) {
        connection.reset();
      }};
  std::shared_ptr<test::FakeWire> wire;
  test::FakeStream* stream = nullptr;
};

}  // namespace shoal::http
