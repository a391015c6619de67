// One exchange from the handler's side: answers now and later, bodies, cancelling, timeouts.
#include "http_fixture.h"
#include "support/scripted_source.h"

namespace shoal::http {
namespace {

using namespace std::chrono_literals;

const std::string kGet = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

struct FlagOperation final : Operation {
  explicit FlagOperation(bool& dropped) : dropped_(dropped) {}
  ~FlagOperation() override { dropped_ = true; }
  bool& dropped_;
};

// A handler that keeps its responders for the test to answer later.
struct Later {
  explicit Later(Bench& bench) {
    bench.handler.on_request = [this](const Request&, Responder responder) {
      responders.push_back(std::move(responder));
      operation_dropped = false;
      return std::make_unique<FlagOperation>(operation_dropped);
    };
  }
  Response response(std::string text) {
    Response r;
    r.text = std::move(text);
    r.on_end = [this](const ExchangeEnd& end) { ends.push_back(end); };
    return r;
  }
  Response response(std::shared_ptr<test::SourceScript> script, std::optional<std::uint64_t> length = {}) {
    auto r = response("");
    r.source = std::make_unique<test::ScriptedSource>(std::move(script));
    r.content_length = length;
    return r;
  }
  std::vector<Responder> responders;
  std::vector<ExchangeEnd> ends;
  bool operation_dropped = false;
};

std::string body_of(const std::string& answer) { return answer.substr(answer.find("\r\n\r\n") + 4); }

TEST(Exchange, answered_inside_the_handler_leaves_in_one_write) {
  Bench bench;
  bench.send(kGet);
  EXPECT_EQ(bench.wire->writes, 1);
  EXPECT_EQ(body_of(bench.wire->sent), "hello /");
  EXPECT_NE(bench.wire->sent.find("Content-Length: 7\r\n"), std::string::npos);
  EXPECT_NE(bench.wire->sent.find("\r\nDate: "), std::string::npos);
  EXPECT_NE(bench.wire->sent.find("\r\nX-Request-Id: "), std::string::npos);
  EXPECT_EQ(bench.wire->sent.find("Connection:"), std::string::npos);
  ASSERT_EQ(bench.handler.ends.size(), 1U);
  EXPECT_TRUE(bench.handler.ends[0].complete);
  EXPECT_EQ(bench.handler.ends[0].cause, EndCause::complete);
  EXPECT_EQ(bench.handler.ends[0].body_bytes, 7U);
}

TEST(Exchange, answered_later_keeps_the_operation_until_the_answer_left) {
  Bench bench;
  Later later(bench);
  bench.send(kGet);
  EXPECT_EQ(bench.wire->sent, "");
  bench.wire->room = 10;
  later.responders[0].send(later.response("late"));
  bench.loop.run_all();
  EXPECT_FALSE(later.operation_dropped);
  EXPECT_TRUE(later.ends.empty());
  bench.stream->make_room(SIZE_MAX);
  bench.loop.run_all();
  EXPECT_TRUE(later.operation_dropped);
  EXPECT_EQ(body_of(bench.wire->sent), "late");
  ASSERT_EQ(later.ends.size(), 1U);
  EXPECT_TRUE(later.ends[0].complete);
}

TEST(Exchange, pipelined_requests_are_answered_in_turn_also_when_answered_late) {
  Bench bench;
  Later later(bench);
  bench.send(kGet + kGet + kGet);
  ASSERT_EQ(later.responders.size(), 1U);
  for (std::size_t i = 0; i < 3; ++i) {
    ASSERT_EQ(later.responders.size(), i + 1);
    auto responder = later.responders[i];  // the vector grows inside
    responder.send(later.response("x"));
    bench.loop.run_all();
  }
  EXPECT_EQ(bench.statuses(), "200 200 200");
}

TEST(Exchange, bytes_between_an_answer_and_the_turn_of_the_next_request_are_in_their_place) {
  for (const bool end : {false, true}) {
    Bench bench;
    Later later(bench);
    bench.send(kGet + kGet.substr(0, 7));
    later.responders[0].send(later.response("1"));  // the rest has its turn later
    (void)bench.stream->arrive(kGet.substr(7));
    if (end) (void)bench.stream->end();
    bench.loop.run_all();
    ASSERT_EQ(later.responders.size(), 2U);
    later.responders[1].send(later.response("2"));
    bench.loop.run_all();
    EXPECT_EQ(bench.statuses(), "200 200");
    EXPECT_EQ(bench.open(), !end);
  }
  Bench bench;
  Later later(bench);
  bench.send(kGet + kGet);
  later.responders[0].send(later.response("1"));
  (void)bench.stream->end();
  bench.loop.run_all();
  EXPECT_EQ(later.responders.size(), 2U);  // it was all there before the end
}

TEST(Exchange, a_client_that_pipelines_without_end_is_no_longer_read) {
  Bench bench;
  Later later(bench);
  bench.send(kGet);
  for (int i = 0; i < 200 && bench.wire->reading; ++i) bench.send(std::string(1024, 'p'));
  EXPECT_FALSE(bench.wire->reading);
  later.responders[0].send(later.response("x"));
  bench.loop.run_all();
  EXPECT_TRUE(bench.wire->dropped || bench.wire->reading);
}

TEST(Exchange, a_half_closed_client_gets_the_answers_to_what_it_sent) {
  Bench bench;
  Later later(bench);
  bench.send(kGet + kGet + "GET /half");
  bench.end();
  EXPECT_TRUE(bench.open());
  later.responders[0].send(later.response("1"));
  bench.loop.run_all();
  ASSERT_EQ(later.responders.size(), 2U);
  later.responders[1].send(later.response("2"));
  bench.loop.run_all();
  EXPECT_EQ(bench.statuses(), "200 200");
  EXPECT_FALSE(bench.open());
  EXPECT_FALSE(bench.wire->was_reset);
}

TEST(Exchange, a_client_that_breaks_off_cancels_the_operation_and_later_answers_are_dropped) {
  Bench bench;
  Later later(bench);
  bench.send(kGet);
  (void)bench.stream->fail();
  EXPECT_TRUE(later.operation_dropped);
  EXPECT_FALSE(bench.open());
  later.responders[0].send(later.response("x"));
  ASSERT_EQ(later.ends.size(), 1U);
  EXPECT_FALSE(later.ends[0].complete);
}

TEST(Exchange, a_second_answer_is_dropped_but_hears_of_its_end) {
  Bench bench;
  Later later(bench);
  bench.send(kGet);
  later.responders[0].send(later.response("1"));
  later.responders[0].send(later.response("2"));
  EXPECT_EQ(bench.statuses(), "200");
  ASSERT_EQ(later.ends.size(), 2U);
  EXPECT_TRUE(later.ends[0].complete);
  EXPECT_FALSE(later.ends[1].complete);
}

TEST(Exchange, a_client_that_breaks_off_mid_body_cancels_source_and_operation) {
  Bench bench;
  Later later(bench);
  auto script = std::make_shared<test::SourceScript>();
  script->text("abc");
  bench.send(kGet);
  later.responders[0].send(later.response(script, 10));
  EXPECT_EQ(body_of(bench.wire->sent), "abc");
  (void)bench.stream->fail();
  bench.loop.run_all();
  EXPECT_TRUE(script->dropped);
  EXPECT_TRUE(later.operation_dropped);
  ASSERT_EQ(later.ends.size(), 1U);
  EXPECT_FALSE(later.ends[0].complete);
  EXPECT_EQ(later.ends[0].cause, EndCause::client);
  EXPECT_FALSE(later.ends[0].error);
  EXPECT_EQ(later.ends[0].body_bytes, 3U);
  script->wake();  // too late: nobody listens
}

TEST(Exchange, head_leaves_while_the_body_is_still_pending) {
  Bench bench;
  Later later(bench);
  auto script = std::make_shared<test::SourceScript>();
  bench.send(kGet);
  later.responders[0].send(later.response(script, 6));
  EXPECT_EQ(bench.statuses(), "200");
  script->text("abc");
  script->text("def");
  script->wake();
  bench.loop.run_all();
  EXPECT_EQ(body_of(bench.wire->sent), "abcdef");
  EXPECT_TRUE(script->dropped);
  EXPECT_TRUE(bench.open());
  bench.handler.on_request = nullptr;
  bench.send(kGet);
  EXPECT_EQ(bench.statuses(), "200 200");
}

TEST(Exchange, body_of_unknown_length_is_chunked) {
  Bench bench;
  Later later(bench);
  auto script = std::make_shared<test::SourceScript>();
  script->text(std::string(17, 'a'));
  script->text("b");
  script->end();
  bench.send(kGet);
  later.responders[0].send(later.response(script));
  EXPECT_EQ(body_of(bench.wire->sent), "11\r\n" + std::string(17, 'a') + "\r\n1\r\nb\r\n0\r\n\r\n");
  EXPECT_EQ(later.ends.at(0).body_bytes, 18U);
}

TEST(Exchange, body_of_unknown_length_ends_an_http_1_0_connection) {
  Bench bench;
  Later later(bench);
  auto script = std::make_shared<test::SourceScript>();
  script->text("abc");
  script->end();
  bench.send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  later.responders[0].send(later.response(script));
  bench.loop.run_all();
  EXPECT_EQ(body_of(bench.wire->sent), "abc");
  EXPECT_FALSE(bench.open());
  EXPECT_FALSE(bench.wire->was_reset);
}

TEST(Exchange, a_body_that_fails_or_does_not_fit_its_length_resets_the_connection) {
  struct Case {
    const char* name;
    std::function<void(test::SourceScript&)> script;
    std::optional<std::uint64_t> length;
  } cases[] = {
      {"fails", [](auto& s) { s.text("abc"), s.fail(); }, 10},
      {"fails when chunked", [](auto& s) { s.text("abc"), s.fail(); }, std::nullopt},
      {"ends early", [](auto& s) { s.text("abc"), s.end(); }, 10},
      {"an empty piece", [](auto& s) { s.text(""); }, 10},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.name);
    Bench bench;
    Later later(bench);
    auto script = std::make_shared<test::SourceScript>();
    c.script(*script);
    bench.send(kGet);
    later.responders[0].send(later.response(script, c.length));
    bench.loop.run_all();
    EXPECT_TRUE(bench.wire->was_reset);
    EXPECT_FALSE(bench.open());
    EXPECT_TRUE(script->dropped);
    ASSERT_EQ(later.ends.size(), 1U);
    EXPECT_FALSE(later.ends[0].complete);
    EXPECT_EQ(later.ends[0].cause, EndCause::source);
    EXPECT_TRUE(later.ends[0].error);
    EXPECT_EQ(bench.wire->sent.find("\r\n0\r\n"), std::string::npos);
  }
}

TEST(Exchange, a_slow_socket_gets_the_body_byte_by_byte_unharmed) {
  for (const bool sized : {true, false}) {
    Bench bench;
    Later later(bench);
    auto script = std::make_shared<test::SourceScript>();
    std::string whole;
    for (int i = 0; i < 20; ++i) {
      script->text(std::string(1 + i, static_cast<char>('a' + i)));
      whole += std::string(1 + i, static_cast<char>('a' + i));
    }
    script->end();
    bench.send(kGet);
    bench.wire->room = 0;
    later.responders[0].send(later.response(script, sized ? std::optional<std::uint64_t>(whole.size()) : std::nullopt));
    for (int i = 0; i < 2000 && later.ends.empty(); ++i) {
      bench.stream->make_room(1);
      bench.loop.run_all();
    }
    ASSERT_EQ(later.ends.size(), 1U);
    EXPECT_EQ(later.ends[0].body_bytes, whole.size());
    if (sized) {
      EXPECT_EQ(body_of(bench.wire->sent), whole);
    }
  }
}

TEST(Exchange, head_request_gets_the_length_and_no_body) {
  Bench bench;
  Later later(bench);
  auto script = std::make_shared<test::SourceScript>();
  script->text("abc");
  bench.send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
  later.responders[0].send(later.response(script, 1234));
  bench.loop.run_all();
  EXPECT_EQ(script->pulls, 0);
  EXPECT_TRUE(script->dropped);
  EXPECT_EQ(body_of(bench.wire->sent), "");
  EXPECT_NE(bench.wire->sent.find("Content-Length: 1234\r\n"), std::string::npos);
  EXPECT_TRUE(later.ends.at(0).complete);
}

TEST(Exchange, statuses_without_a_body_have_none_and_no_length) {
  for (const int status : {204, 304}) {
    Bench bench;
    bench.handler.on_request = [&](const Request&, Responder responder) {
      Response response;
      response.status = status;
      response.text = "not sent";
      responder.send(std::move(response));
      return nullptr;
    };
    bench.send(kGet);
    EXPECT_EQ(body_of(bench.wire->sent), "");
    EXPECT_EQ(bench.wire->sent.find("Content-Length"), std::string::npos);
    EXPECT_TRUE(bench.open());
  }
}

TEST(Exchange, header_values_cannot_end_their_line) {
  Bench bench;
  bench.handler.on_request = [&](const Request&, Responder responder) {
    Response response;
    response.headers.add("X-Foreign", "a\r\nSet-Cookie: b\nc");
    responder.send(std::move(response));
    return nullptr;
  };
  bench.send(kGet);
  EXPECT_NE(bench.wire->sent.find("X-Foreign: a  Set-Cookie: b c\r\n"), std::string::npos);
}

TEST(Exchange, connection_closes_after_its_share_of_requests) {
  ServerOptions options;
  options.max_requests_per_connection = 2;
  Bench bench(options);
  bench.send(kGet + kGet + kGet);
  EXPECT_EQ(bench.statuses(), "200 200");
  EXPECT_NE(bench.wire->sent.find("Connection: close"), std::string::npos);
}

TEST(Deadline, slow_headers_are_refused) {
  Bench bench;
  bench.send("GET / HT");
  bench.advance(9s);
  bench.send("TP/1.1\r\n");  // one more byte now and then does not help
  EXPECT_EQ(bench.statuses(), "");
  bench.advance(2s);
  EXPECT_EQ(bench.statuses(), "408");
  bench.advance(3s);
  EXPECT_FALSE(bench.open());
}

TEST(Deadline, a_body_may_take_long_but_not_stand_still) {
  Bench bench;
  bench.send("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n");
  for (int i = 0; i < 5; ++i) {
    bench.advance(20s);
    bench.send("b");
  }
  EXPECT_EQ(bench.statuses(), "");
  bench.advance(31s);
  EXPECT_EQ(bench.statuses(), "408");
}

TEST(Deadline, an_idle_connection_is_closed_quietly) {
  Bench bench;
  bench.send(kGet);
  bench.advance(74s);
  EXPECT_TRUE(bench.open());
  bench.advance(2s);
  EXPECT_FALSE(bench.open());
  EXPECT_FALSE(bench.wire->was_reset);
  EXPECT_EQ(bench.statuses(), "200");
}

TEST(Deadline, before_the_first_request_there_is_time_for_a_handshake) {
  ServerOptions options;
  options.keep_alive_timeout = 1s;
  options.header_timeout = 10s;
  Bench bench(options);
  bench.advance(9s);
  ASSERT_TRUE(bench.open());
  bench.send(kGet);
  EXPECT_EQ(bench.statuses(), "200");
  bench.advance(2s);
  EXPECT_FALSE(bench.open()) << "between requests keep_alive_timeout holds";

  bench.connect();
  bench.advance(11s);
  EXPECT_FALSE(bench.open());
  EXPECT_EQ(bench.statuses(), "");
}

TEST(Deadline, a_client_that_takes_nothing_is_cut) {
  Bench bench;
  bench.wire->room = 5;
  bench.send(kGet);
  bench.advance(119s);
  EXPECT_TRUE(bench.open());
  bench.stream->make_room(1);
  bench.loop.run_all();
  bench.advance(119s);
  EXPECT_TRUE(bench.open());
  bench.advance(2s);
  EXPECT_FALSE(bench.open());
  EXPECT_TRUE(bench.wire->was_reset);
  ASSERT_EQ(bench.handler.ends.size(), 1U);
  EXPECT_FALSE(bench.handler.ends[0].complete);
  EXPECT_EQ(bench.handler.ends[0].cause, EndCause::timeout);
}

TEST(Deadline, a_handler_or_a_source_may_take_as_long_as_it_likes) {
  Bench bench;
  Later later(bench);
  auto script = std::make_shared<test::SourceScript>();
  bench.send(kGet);
  bench.advance(1h);
  later.responders[0].send(later.response(script, 1));
  bench.advance(1h);
  script->text("x");
  script->wake();
  EXPECT_EQ(body_of(bench.wire->sent), "x");
}

TEST(Deadline, a_lingering_connection_is_closed_soon) {
  Bench bench;
  bench.send("junk\r\n\r\n");
  EXPECT_TRUE(bench.open());
  bench.send("more junk");
  bench.advance(3s);
  EXPECT_FALSE(bench.open());
}

TEST(Drain, closes_idle_connections_and_lets_running_answers_end) {
  Bench idle;
  idle.send(kGet);
  idle.context.draining = true;
  idle.connection->drain();
  EXPECT_FALSE(idle.open());

  Bench busy;
  Later later(busy);
  busy.send(kGet);
  busy.context.draining = true;
  busy.connection->drain();
  EXPECT_TRUE(busy.open());
  later.responders[0].send(later.response("last"));
  busy.loop.run_all();
  EXPECT_FALSE(busy.open());
  EXPECT_NE(busy.wire->sent.find("Connection: close"), std::string::npos);
  EXPECT_EQ(body_of(busy.wire->sent), "last");
}

// An operation that answers from one of its own functions must survive the call, though its exchange ends inside.
struct SelfAnswering final : Operation {
  explicit SelfAnswering(Responder r) : responder(std::move(r)) {}
  void answer() {
    responder.send(Response{});
    touched_after = "still here";
  }
  Responder responder;
  std::string touched_after;
};

TEST(Exchange, an_operation_outlives_its_own_send) {
  Bench bench;
  SelfAnswering* operation = nullptr;
  bench.handler.on_request = [&](const Request&, Responder responder) {
    auto made = std::make_unique<SelfAnswering>(std::move(responder));
    operation = made.get();
    return made;
  };
  bench.send(kGet);
  operation->answer();
  EXPECT_EQ(operation->touched_after, "still here");
  bench.loop.run_all();
  EXPECT_EQ(bench.statuses(), "200");
}

}  // namespace
}  // namespace shoal::http
