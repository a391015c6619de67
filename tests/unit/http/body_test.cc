// Streamed request bodies: what the operation reads, when the client is asked, read and answered.
#include <optional>

#include "http_fixture.h"

namespace shoal::http {
namespace {

using namespace std::chrono_literals;

const std::string kPut = "PUT /s HTTP/1.1\r\nHost: a\r\n";
const std::string kGet = "GET /next HTTP/1.1\r\nHost: a\r\n\r\n";

// Every request is streamed. The test, or `read_all`, asks for chunks; what came is noted here.
struct Uploads {
  struct Upload;
  explicit Uploads(Bench& b) : bench(b) {
    bench.handler.streams = [](const Request&) { return true; };
    bench.handler.on_request = [this](const Request& request, Responder r) -> std::unique_ptr<Operation> {
      bodies.emplace_back();
      body = request.stream;
      lengths.push_back(body->length());
      responder.emplace(std::move(r));
      auto operation = std::make_unique<Upload>(*this, request.stream);
      body.reset();
      running = operation.get();
      if (answer_at_once) answer(403);
      if (reads) operation->read();
      return operation;
    };
  }
  void answer(int status) {
    Response response;
    response.status = status;
    response.text = "answer";
    response.on_end = [this](const ExchangeEnd& end) { ends.push_back(end); };
    responder->send(std::move(response));
  }

  struct Upload final : Operation {
    Upload(Uploads& u, std::shared_ptr<RequestBody> b) : uploads(u), stream(std::move(b)) {}
    ~Upload() override {
      ++uploads.dropped;
      if (uploads.running == this) uploads.running = nullptr;
    }
    void read() {
      auto& u = uploads;
      stream->read([this, &u](base::Result<RequestBody::Chunk> chunk) {
        if (!chunk) {
          u.error = chunk.error().kind();
          return;
        }
        if (*chunk == nullptr) {
          u.bodies.back() += "$";
          if (u.reads) u.answer(201);
          return;
        }
        ++u.chunks;
        u.largest = std::max(u.largest, (*chunk)->size());
        u.bodies.back() += **chunk;
        if (u.reads) read();
      });
    }
    Uploads& uploads;
    std::shared_ptr<RequestBody> stream;
  };

  Bench& bench;
  bool reads = true;
  bool answer_at_once = false;
  std::vector<std::string> bodies;  // "$": the end was read
  std::vector<std::optional<std::uint64_t>> lengths;
  std::optional<base::ErrorKind> error;
  std::optional<Responder> responder;
  std::shared_ptr<RequestBody> body;
  std::vector<ExchangeEnd> ends;
  Upload* running = nullptr;
  int chunks = 0;
  int dropped = 0;
  std::size_t largest = 0;
};

struct Case {
  const char* name;
  std::string bytes;
  const char* statuses;
  std::vector<std::string> bodies;
  std::optional<base::ErrorKind> error;
};

std::vector<Case> cases() {
  return {
      {"a length", kPut + "Content-Length: 5\r\n\r\nhello", "201", {"hello$"}, {}},
      {"chunks",
       kPut + "Transfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\nT: t\r\n\r\n",
       "201",
       {"hello$"},
       {}},
      {"no bytes", kPut + "Content-Length: 0\r\n\r\n", "201", {"$"}, {}},
      {"no chunks", kPut + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "201", {"$"}, {}},
      {"no body", kGet, "201", {"$"}, {}},
      {"HEAD", "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", "201", {"$"}, {}},
      {"the next request behind a body",
       kPut + "Content-Length: 5\r\n\r\nhello" + kPut + "Transfer-Encoding: chunked\r\n\r\n2\r\nyo\r\n0\r\n\r\n" + kGet,
       "201 201 201",
       {"hello$", "yo$", "$"},
       {}},
      {"beyond max_body_bytes",
       kPut + "Content-Length: 40\r\n\r\n" + std::string(40, 'b') + kGet,
       "201 201",
       {std::string(40, 'b') + "$", "$"},
       {}},
      {"an Expect that did not wait", kPut + "Expect: 100-continue\r\nContent-Length: 2\r\n\r\nab", "?", {"ab$"}, {}},
      {"malformed chunks",
       kPut + "Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\nzz\r\n" + kGet,
       "",
       {"ab"},
       base::ErrorKind::invalid},
      {"a chunk that llhttp takes to have ended",
       kPut + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\xe8"
              "0\r\n\r\n",
       "201",
       {"hello$"},
       {}},
      {"at max_stream_bytes",
       kPut + "Transfer-Encoding: chunked\r\n\r\n40\r\n" + std::string(64, 'c') + "\r\n0\r\n\r\n",
       "201",
       {std::string(64, 'c') + "$"},
       {}},
      {"longer than max_stream_bytes",
       kPut + "Content-Length: 65\r\n\r\n" + std::string(65, 'c'),
       "",
       {""},
       base::ErrorKind::full},
  };
}

ServerOptions small() {
  ServerOptions options;
  options.max_body_bytes = 16;
  options.max_stream_bytes = 64;
  options.body_chunk_bytes = 7;
  return options;
}

void check(const Case& c, Bench& bench, const Uploads& uploads) {
  if (std::string_view(c.statuses) != "?") {
    EXPECT_EQ(bench.statuses(), c.statuses);
  }
  EXPECT_EQ(uploads.bodies, c.bodies);
  EXPECT_EQ(uploads.error, c.error);
  EXPECT_LE(uploads.largest, 7U);
  EXPECT_FALSE(bench.wire->was_reset);
  EXPECT_TRUE(bench.open());
}

TEST(StreamedBody, is_read_the_same_in_portions_of_any_size) {
  for (const auto& c : cases()) {
    for (std::size_t portion = 1; portion <= c.bytes.size(); ++portion) {
      SCOPED_TRACE(testing::Message() << c.name << ", portions of " << portion);
      Bench bench(small());
      Uploads uploads(bench);
      bench.send(c.bytes, portion);
      check(c, bench, uploads);
      if (HasFailure()) return;
    }
  }
}

TEST(StreamedBody, split_in_two_at_any_byte_is_read_the_same) {
  for (const auto& c : cases()) {
    for (std::size_t at = 1; at < c.bytes.size(); ++at) {
      SCOPED_TRACE(testing::Message() << c.name << ", split at " << at);
      Bench bench(small());
      Uploads uploads(bench);
      bench.send(c.bytes.substr(0, at));
      bench.send(c.bytes.substr(at));
      check(c, bench, uploads);
      if (HasFailure()) return;
    }
  }
}

TEST(StreamedBody, tells_its_length_before_it_comes) {
  Bench bench;
  Uploads uploads(bench);
  uploads.reads = false;
  bench.send(kPut + "Content-Length: 123456789012\r\n\r\n");
  ASSERT_EQ(uploads.lengths.size(), 1U);
  EXPECT_EQ(uploads.lengths[0], 123456789012U);
  EXPECT_EQ(bench.wire->sent, "");
}

TEST(StreamedBody, the_first_read_asks_for_what_the_client_holds_back) {
  Bench bench;
  Uploads uploads(bench);
  uploads.reads = false;
  bench.send(kPut + "Expect: 100-continue\r\nContent-Length: 5\r\n\r\n");
  EXPECT_EQ(bench.wire->sent, "");
  uploads.running->read();
  EXPECT_EQ(bench.wire->sent, "HTTP/1.1 100 Continue\r\n\r\n");
  bench.send("hel");
  uploads.running->read();
  bench.send("lo");
  uploads.running->read();
  bench.loop.run_all();
  uploads.answer(201);
  EXPECT_EQ(bench.statuses(), "100 201");
  EXPECT_EQ(uploads.bodies[0], "hello$");
  EXPECT_EQ(bench.wire->sent.find("Connection: close"), std::string::npos);
}

TEST(StreamedBody, refused_before_a_read_is_never_asked_for) {
  for (const bool at_once : {true, false}) {
    Bench bench;
    Uploads uploads(bench);
    uploads.reads = false;
    uploads.answer_at_once = at_once;
    bench.send(kPut + "Expect: 100-continue\r\nContent-Length: 5\r\n\r\n");
    if (!at_once) uploads.answer(401);
    bench.loop.run_all();
    EXPECT_EQ(bench.statuses(), at_once ? "403" : "401");
    EXPECT_NE(bench.wire->sent.find("Connection: close"), std::string::npos);
    EXPECT_TRUE(bench.wire->write_ended);
    bench.end();
    EXPECT_FALSE(bench.open());
  }
}

TEST(StreamedBody, answered_early_is_answered_at_once_and_drained) {
  Bench bench;
  Uploads uploads(bench);
  uploads.reads = false;
  bench.send(kPut + "Content-Length: 10000000\r\n\r\nsome");
  uploads.answer(413);
  bench.loop.run_all();
  EXPECT_EQ(bench.statuses(), "413");
  EXPECT_EQ(uploads.dropped, 1);
  ASSERT_EQ(uploads.ends.size(), 1U);
  EXPECT_TRUE(uploads.ends[0].complete);
  for (int i = 0; i < 100; ++i) bench.send(std::string(100'000, 'x'));
  EXPECT_TRUE(bench.open());  // closing now would take the answer away from a client that has not read it yet
  EXPECT_TRUE(bench.wire->reading);
  bench.advance(3s);
  EXPECT_FALSE(bench.open());
  EXPECT_FALSE(bench.wire->was_reset);
}

TEST(StreamedBody, a_client_that_never_stops_sending_is_not_drained_for_ever) {
  Bench bench;
  Uploads uploads(bench);
  uploads.answer_at_once = true;
  uploads.reads = false;
  bench.send(kPut + "Content-Length: 10000000000\r\n\r\n");
  for (int i = 0; i < 30 && bench.open(); ++i) {
    bench.send("x");
    bench.advance(1s);
  }
  EXPECT_FALSE(bench.open());
  bench.connect();
  bench.send(kPut + "Content-Length: 10000000000\r\n\r\n");
  const std::string piece(16 << 20, 'x');
  for (int i = 0; i < 20 && bench.open(); ++i) bench.send(piece);
  EXPECT_FALSE(bench.open());
}

TEST(StreamedBody, nobody_reads_is_not_taken_from_the_socket) {
  ServerOptions options;
  options.body_chunk_bytes = 1000;
  Bench bench(options);
  Uploads uploads(bench);
  uploads.reads = false;
  bench.send(kPut + "Content-Length: 100000\r\n\r\n");
  int sent = 0;
  const auto send_until_full = [&] {
    for (; sent < 100'000 && bench.wire->reading; sent += 100) bench.send(std::string(100, 'x'));
  };
  send_until_full();
  EXPECT_EQ(sent, 1000);
  uploads.running->read();
  bench.loop.run_all();
  EXPECT_EQ(uploads.bodies[0].size(), 1000U);  // all that was here, in one chunk
  send_until_full();
  EXPECT_EQ(sent, 2000);
  uploads.reads = true;
  uploads.running->read();
  bench.loop.run_all();
  send_until_full();
  EXPECT_EQ(sent, 100'000);
  EXPECT_EQ(bench.statuses(), "201");
  EXPECT_EQ(uploads.bodies[0].size(), 100'001U);
}

TEST(StreamedBody, pieces_of_one_turn_come_as_one_chunk) {
  Bench bench;
  Uploads uploads(bench);
  bench.send(kPut + "Content-Length: 10000\r\n\r\n");
  for (int i = 0; i < 10; ++i) (void)bench.stream->arrive(std::string(1000, 'x'));
  bench.loop.run_all();
  EXPECT_EQ(uploads.chunks, 1);
  EXPECT_EQ(bench.statuses(), "201");
}

TEST(StreamedBody, a_client_that_leaves_drops_the_operation) {
  for (const bool half_close : {true, false}) {
    Bench bench;
    Uploads uploads(bench);
    bench.send(kPut + "Content-Length: 10\r\n\r\nabc");
    EXPECT_EQ(uploads.bodies[0], "abc");
    if (half_close) {
      bench.end();
    } else {
      (void)bench.stream->fail();
      bench.loop.run_all();
    }
    EXPECT_EQ(uploads.dropped, 1);
    EXPECT_FALSE(bench.open());
    uploads.answer(201);
    ASSERT_EQ(uploads.ends.size(), 1U);
    EXPECT_FALSE(uploads.ends[0].complete);
  }
}

TEST(StreamedBody, a_client_that_ends_behind_its_body_is_answered_and_closed) {
  for (const bool first_answer : {true, false}) {
    Bench bench;
    Uploads uploads(bench);
    (void)bench.stream->arrive(kPut + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n");
    if (first_answer) bench.loop.run_all();
    (void)bench.stream->end();
    bench.loop.run_all();
    EXPECT_EQ(bench.statuses(), "201");
    EXPECT_FALSE(bench.open());
  }
}

TEST(StreamedBody, a_client_that_ends_before_anybody_read_still_gets_the_refusal) {
  Bench bench;
  Uploads uploads(bench);
  uploads.reads = false;
  bench.send(kPut + "Content-Length: 10\r\n\r\nabc");
  bench.end();
  EXPECT_EQ(uploads.dropped, 0);
  uploads.answer(405);
  bench.loop.run_all();
  EXPECT_EQ(bench.statuses(), "405");
  EXPECT_FALSE(bench.open());

  bench.connect();
  bench.send(kPut + "Content-Length: 10\r\n\r\nabc");
  bench.end();
  bench.advance(31s);  // no refusal came
  EXPECT_EQ(uploads.dropped, 2);
  EXPECT_FALSE(bench.open());
}

TEST(StreamedBody, held_beyond_the_connection_gives_what_came_and_then_an_error) {
  Bench bench;
  Uploads uploads(bench);
  uploads.reads = false;
  bench.send(kPut + "Content-Length: 10\r\n\r\nabc");
  const auto held = uploads.running->stream;
  (void)bench.stream->fail();
  bench.loop.run_all();
  EXPECT_FALSE(bench.open());
  std::string got;
  std::optional<base::ErrorKind> error;
  for (int i = 0; i < 3; ++i) {
    held->read([&](base::Result<RequestBody::Chunk> chunk) {
      if (chunk) {
        got += **chunk;
      } else {
        error = chunk.error().kind();
      }
    });
    bench.loop.run_all();
  }
  EXPECT_EQ(got, "abc");
  EXPECT_EQ(error, base::ErrorKind::gone);
}

TEST(StreamedBody, a_read_that_waits_too_long_fails_and_the_operation_may_say_so) {
  Bench bench;
  Uploads uploads(bench);
  bench.send(kPut + "Content-Length: 10\r\n\r\n");
  for (int i = 0; i < 3; ++i) {
    bench.advance(20s);
    bench.send("x");
  }
  EXPECT_FALSE(uploads.error);
  bench.advance(31s);
  EXPECT_EQ(uploads.error, base::ErrorKind::timeout);
  uploads.answer(408);
  bench.loop.run_all();
  EXPECT_EQ(bench.statuses(), "408");
  bench.advance(3s);
  EXPECT_FALSE(bench.open());
}

TEST(StreamedBody, a_reader_may_take_its_time) {
  Bench bench;
  Uploads uploads(bench);
  uploads.reads = false;
  bench.send(kPut + "Content-Length: 3\r\n\r\nab");
  bench.advance(1h);
  uploads.running->read();
  bench.loop.run_all();
  bench.advance(1h);
  uploads.reads = true;
  uploads.running->read();
  bench.send("c");
  EXPECT_EQ(uploads.bodies[0], "abc$");
  EXPECT_EQ(bench.statuses(), "201");
}

TEST(StreamedBody, the_next_request_waits_for_the_answer_not_for_the_body) {
  Bench bench;
  Uploads uploads(bench);
  uploads.reads = false;
  bench.send(kPut + "Content-Length: 3\r\n\r\nabc" + kGet);
  EXPECT_EQ(uploads.bodies.size(), 1U);
  uploads.answer(202);  // the body is all here, though nobody has read it
  bench.loop.run_all();
  EXPECT_EQ(uploads.bodies.size(), 2U);
  uploads.answer(200);
  bench.loop.run_all();
  EXPECT_EQ(bench.statuses(), "202 200");
}

TEST(StreamedBody, a_second_read_at_once_is_a_bug_and_harms_nothing) {
  Bench bench;
  Uploads uploads(bench);
  bench.send(kPut + "Content-Length: 3\r\n\r\n");
  std::optional<base::ErrorKind> error;
  uploads.running->stream->read([&](base::Result<RequestBody::Chunk> chunk) { error = chunk.error().kind(); });
  bench.loop.run_all();
  EXPECT_EQ(error, base::ErrorKind::bug);
  bench.send("abc");
  EXPECT_EQ(bench.statuses(), "201");
}

TEST(StreamedBody, endless_chunk_framing_fails) {
  Bench bench;
  Uploads uploads(bench);
  bench.send(kPut + "Transfer-Encoding: chunked\r\n\r\n1;");
  for (int i = 0; i < 40 && !uploads.error; ++i) bench.send(std::string(1024, 'e'));
  EXPECT_EQ(uploads.error, base::ErrorKind::invalid);
}

TEST(StreamedBody, a_client_that_cannot_take_the_100_is_cut) {
  Bench bench;
  Uploads uploads(bench);
  bench.wire->room = 3;
  bench.send(kPut + "Expect: 100-continue\r\nContent-Length: 5\r\n\r\n");
  EXPECT_FALSE(bench.open());
  EXPECT_EQ(uploads.dropped, 1);
}

TEST(StreamedBody, the_server_going_mid_body_drops_the_operation) {
  Bench bench;
  Uploads uploads(bench);
  bench.send(kPut + "Content-Length: 5\r\n\r\nab");
  bench.connection->cut(EndCause::shutdown);
  bench.loop.run_all();
  EXPECT_EQ(uploads.dropped, 1);
}

}  // namespace
}  // namespace shoal::http
