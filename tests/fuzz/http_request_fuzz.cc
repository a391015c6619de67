// A client's bytes through a whole connection on a stream in memory. The first bytes of the input choose portion sizes,
// how slowly the client takes answers, and what the handler does. Whatever comes: no crash, every answer's on_end runs
// once, the connection can be dropped at any point, and the requests seen do not depend on the portions.
#include <cstdint>
#include <cstdlib>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "../../src/http/connection.h"
#include "../support/fake_loop.cc"
#include "../support/fake_loop.h"
#include "../support/fake_stream.cc"
#include "../support/fake_stream.h"
#include "../support/scripted_source.h"
#include "shoal/net/stream.h"
#include "shoal/obs/metrics.h"

namespace {

using namespace shoal;

void require(bool holds) {
  if (!holds) std::abort();
}

struct EmptyOperation final : http::Operation {};

// Reads a streamed body; answers at its end, at an error, or (`early`) after the first chunk.
struct Upload final : http::Operation {
  Upload(std::shared_ptr<http::RequestBody> b, std::string& s, base::UniqueFunction<void()> a, bool e)
      : body(std::move(b)), seen(s), answer(std::move(a)), early(e) {}
  void read() {
    body->read([this](base::Result<http::RequestBody::Chunk> chunk) {
      require(!ended);
      if (chunk && *chunk != nullptr) {
        require(!(*chunk)->empty() && (*chunk)->size() <= kChunkBytes);
        seen += **chunk;
        if (!early) return read();
      }
      ended = true;
      seen += !chunk ? "!" : *chunk == nullptr ? "$" : "";
      answer();
    });
  }
  static constexpr std::size_t kChunkBytes = 5;
  std::shared_ptr<http::RequestBody> body;
  std::string& seen;
  base::UniqueFunction<void()> answer;
  bool early;
  bool ended = false;
};

struct Replay final : http::Handler {
  explicit Replay(std::uint8_t m) : mode(m) {}
  http::BodyMode body_mode(const http::Request&) override {
    if ((mode & 128) != 0) return http::BodyMode::stream;
    return (mode & 1) != 0 ? http::BodyMode::buffer : http::BodyMode::drop;
  }
  std::unique_ptr<http::Operation> handle(const http::Request& request, http::Responder responder) override {
    seen.push_back(std::string(to_string(request.method)) + " " + request.target + " " + request.host + " " +
                   request.body);
    http::Response response;
    ++answers;
    response.on_end = [this](const http::ExchangeEnd&) { ++ends; };
    if ((mode & 2) != 0) {
      auto script = std::make_shared<test::SourceScript>();
      script->text("some body");
      (mode & 4) != 0 ? script->end() : script->fail();
      if ((mode & 8) != 0) response.content_length = 9;
      response.source = std::make_unique<test::ScriptedSource>(script);
    } else {
      response.text = request.target;
    }
    if ((mode & 128) != 0) {
      require(request.stream != nullptr);
      auto reply = [r = std::move(responder), out = std::make_shared<http::Response>(std::move(response))]() mutable {
        r.send(std::move(*out));
      };
      if ((mode & 1) != 0) {
        --answers;  // it may be dropped before it answers
        auto made = std::make_unique<Upload>(
            request.stream, seen.emplace_back(seen.back()),
            [this, reply]() mutable {
              ++answers;
              reply();
            },
            (mode & 8) != 0);
        made->read();
        return made;
      }
      reply();  // before the end
      return nullptr;
    }
    if ((mode & 16) != 0) {
      waiting.emplace_back(std::move(responder), std::move(response));
      return std::make_unique<EmptyOperation>();
    }
    responder.send(std::move(response));
    return nullptr;
  }
  void answer_all() {
    while (!waiting.empty()) {
      auto [responder, response] = std::move(waiting.back());
      waiting.pop_back();
      responder.send(std::move(response));
    }
  }
  std::uint8_t mode;
  int answers = 0;
  int ends = 0;
  std::deque<std::string> seen;  // references stay good
  std::vector<std::pair<http::Responder, http::Response>> waiting;
};

std::deque<std::string> run(std::string_view input, std::size_t portion, std::uint8_t mode, std::uint8_t room) {
  http::ServerOptions options;
  options.max_header_bytes = 1024;
  options.max_uri_bytes = 256;
  options.max_headers = 16;
  options.max_body_bytes = 64;
  options.body_chunk_bytes = Upload::kChunkBytes;
  options.max_stream_bytes = 200;
  test::FakeClock clock;
  test::FakeLoop loop{clock};
  test::FakeExecutor disk;
  Replay handler(mode);
  auto wire = std::make_shared<test::FakeWire>();
  std::shared_ptr<http::Connection> connection;
  {
    http::ConnectionContext context{
        .loop = loop, .disk = disk, .handler = handler, .options = options, .closed = [&](http::Connection&) {
          connection.reset();
        }};
    auto owned = std::make_unique<test::FakeStream>(loop, wire);
    auto* stream = owned.get();
    connection = std::make_shared<http::Connection>(context, std::move(owned));
    connection->start();
    if (room != 0) wire->room = 0;
    const auto turn = [&] {
      loop.run_all();
      handler.answer_all();
      loop.run_all();
      if (!wire->dropped && room != 0) {
        stream->make_room(room);
        loop.run_all();
      }
    };
    while (!input.empty() && !wire->dropped) {
      const auto part = input.substr(0, portion);
      input.remove_prefix(part.size());
      if (wire->reading) (void)stream->arrive(part);
      turn();
    }
    if (!wire->dropped && (mode & 32) != 0) (void)stream->end();
    for (int i = 0; i < 20; ++i) turn();
    if (!wire->dropped && (mode & 64) != 0) (void)stream->fail();
    turn();
    if (connection) loop.advance(std::chrono::hours(1));
    if (connection) connection->check_deadline(loop.now());
    if (connection) connection->cut(http::EndCause::shutdown);
    handler.answer_all();
    loop.run_all();
  }
  require(connection == nullptr && wire->dropped);
  require(handler.ends == handler.answers);
  return handler.seen;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 3) return 0;
  const std::string_view input(reinterpret_cast<const char*>(data) + 3, size - 3);
  const std::size_t portion = 1 + data[0];
  (void)run(input, portion, data[1], data[2]);
  // Fast client, handler that answers at once: the portions must not matter.
  const auto mode = static_cast<std::uint8_t>(data[1] & 129);
  require(run(input, portion, mode, 0) == run(input, SIZE_MAX, mode, 0));
  return 0;
}
