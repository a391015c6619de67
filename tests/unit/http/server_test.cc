// The server on real sockets: files, cold pages, clients that leave, limits, draining.
#include "shoal/http/server.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <functional>
#include <future>
#include <random>

#include "support/loop_thread.h"
#include "support/raw_client.h"
#include "support/temp_dir.h"

namespace shoal::http {
namespace {

using namespace std::chrono_literals;

class FileSource final : public base::ByteSource {
 public:
  FileSource(std::shared_ptr<const base::File> file, std::uint64_t size) : file_(std::move(file)), size_(size) {}
  base::Pulled pull(std::uint64_t max) override {
    if (at_ == size_) return base::SourceEnd{};
    const auto n = std::min(max, size_ - at_);
    at_ += n;
    base::FileSlice slice{file_, at_ - n, n};
    slice.only_cached = only_cached;
    return slice;
  }
  void on_ready(base::UniqueFunction<void()>) override {}
  bool only_cached = false;

 private:
  std::shared_ptr<const base::File> file_;
  std::uint64_t size_;
  std::uint64_t at_ = 0;
};

struct Site final : Handler {
  explicit Site(ServerOptions options = {}) {
    thread.run([&] {
      server = std::make_unique<Server>(thread.loop(), disk, *this, options);
      port = server->listen({"127.0.0.1", 0}).value().port;
    });
  }
  ~Site() override {
    thread.run([&] { server.reset(); });
  }
  BodyMode body_mode(const Request&) override { return mode; }
  std::unique_ptr<Operation> handle(const Request& request, Responder responder) override {
    return on_request(request, std::move(responder));
  }
  [[nodiscard]] std::size_t connections() {
    std::size_t n = 0;
    thread.run([&] { n = server->connections(); });
    return n;
  }
  // A file of `size` random bytes, answered to every request from now on.
  void serve_file(std::size_t size) {
    std::mt19937_64 random(7);
    content.resize(size);
    for (auto& byte : content) byte = static_cast<char>(random());
    std::ofstream(dir.file("blob"), std::ios::binary) << content;
    file = std::make_shared<base::File>(::open(dir.file("blob").c_str(), O_RDONLY));
    on_request = [this](const Request&, Responder responder) {
      Response response;
      auto source = std::make_unique<FileSource>(file, content.size());
      source->only_cached = only_cached;
      response.source = std::move(source);
      response.content_length = content.size();
      response.on_end = [this](const ExchangeEnd& end) { ended.set_value(end); };
      responder.send(std::move(response));
      return nullptr;
    };
  }

  test::TempDir dir;
  test::LoopThread thread;
  net::ThreadPool disk{1};
  std::unique_ptr<Server> server;
  std::uint16_t port = 0;
  BodyMode mode = BodyMode::drop;
  std::function<std::unique_ptr<Operation>(const Request&, Responder)> on_request;
  std::string content;
  std::shared_ptr<const base::File> file;
  bool only_cached = false;
  std::promise<ExchangeEnd> ended;
};

std::string body_of(const std::string& answer) { return answer.substr(answer.find("\r\n\r\n") + 4); }
const std::string kClose = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
const std::string kKeep = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

TEST(Server, sends_a_10_mb_file_unharmed) {
  Site site;
  site.serve_file(10'000'000);
  test::RawClient client(site.port);
  client.send(kClose);
  EXPECT_TRUE(body_of(client.read_all()) == site.content);
  const auto end = site.ended.get_future().get();
  EXPECT_TRUE(end.complete);
  EXPECT_EQ(end.body_bytes, site.content.size());
}

TEST(Server, sends_a_file_that_is_not_in_the_page_cache) {
  Site site;
  site.serve_file(10'000'000);
  ASSERT_EQ(::fsync(site.file->fd()), 0);
  ASSERT_EQ(::posix_fadvise(site.file->fd(), 0, 0, POSIX_FADV_DONTNEED), 0);
  if (net::pages_resident(*site.file, 0, site.content.size())) GTEST_SKIP() << "this filesystem keeps its pages";
  test::RawClient client(site.port);
  client.send(kClose);
  EXPECT_TRUE(body_of(client.read_all()) == site.content);
}

TEST(Server, survives_a_client_that_leaves_while_cold_pages_load) {
  Site site;
  site.serve_file(4'000'000);
  ASSERT_EQ(::fsync(site.file->fd()), 0);
  ASSERT_EQ(::posix_fadvise(site.file->fd(), 0, 0, POSIX_FADV_DONTNEED), 0);
  if (net::pages_resident(*site.file, 0, site.content.size())) GTEST_SKIP() << "this filesystem keeps its pages";
  std::promise<void> gate;
  // The one disk thread is busy, so loading waits; it owns its side of the gate, which it may reach late.
  site.disk.post([opened = gate.get_future().share()] { opened.wait(); });
  test::RawClient client(site.port);
  client.send(kKeep);
  EXPECT_NE(client.read_until("\r\n\r\n"), "");  // the head does not wait for the disk
  client.reset();
  EXPECT_FALSE(site.ended.get_future().get().complete);
  gate.set_value();
  EXPECT_EQ(site.connections(), 0U);
}

TEST(Server, serves_a_reader_of_another_pace_beside_one_that_does_not_read) {
  Site site;
  site.serve_file(10'000'000);
  std::promise<void> both;
  int left = 2;
  auto answer = std::move(site.on_request);
  site.on_request = [&](const Request&, Responder responder) {
    Response response;
    response.source = std::make_unique<FileSource>(site.file, site.content.size());
    response.content_length = site.content.size();
    response.on_end = [&](const ExchangeEnd&) {
      if (--left == 0) both.set_value();
    };
    responder.send(std::move(response));
    return nullptr;
  };
  test::RawClient stuck(site.port, 4096);
  stuck.send(kClose);
  test::RawClient client(site.port);
  client.send(kClose);
  EXPECT_TRUE(body_of(client.read_all()) == site.content);
  EXPECT_TRUE(body_of(stuck.read_all()) == site.content);
  both.get_future().wait();
}

TEST(Server, a_file_shorter_than_promised_resets_the_connection) {
  Site site;
  site.serve_file(100'000);
  ASSERT_EQ(::truncate(site.dir.file("blob").c_str(), 50'000), 0);
  test::RawClient client(site.port);
  client.send(kClose);
  (void)client.read_all();
  EXPECT_TRUE(client.was_reset());
  const auto end = site.ended.get_future().get();
  EXPECT_FALSE(end.complete);
  EXPECT_EQ(end.cause, EndCause::file) << "not the client's doing";
}

TEST(Server, a_file_that_the_disk_does_not_give_resets_the_connection) {
  Site site;
  site.serve_file(100'000);
  site.file = std::make_shared<base::File>(::open("/proc/self/mem", O_RDONLY));  // nothing is mapped at 0: EIO
  test::RawClient client(site.port);
  client.send(kClose);
  (void)client.read_all();
  EXPECT_TRUE(client.was_reset());
  const auto end = site.ended.get_future().get();
  EXPECT_EQ(end.body_bytes, 0U);
  EXPECT_EQ(end.cause, EndCause::file);
  EXPECT_EQ(end.file, site.file);
  ASSERT_TRUE(end.error);
  EXPECT_NE(end.error->message().find("Input/output error"), std::string::npos) << end.error->message();
}

TEST(Server, what_only_memory_has_is_sent_from_there_and_not_read_from_the_disk) {
  for (const bool forgotten : {false, true}) {
    Site site;
    site.only_cached = true;
    site.serve_file(4'000'000);
    ASSERT_EQ(::fsync(site.file->fd()), 0);
    if (forgotten) {
      ASSERT_EQ(::posix_fadvise(site.file->fd(), 0, 0, POSIX_FADV_DONTNEED), 0);
      if (net::pages_resident(*site.file, 0, site.content.size())) GTEST_SKIP() << "this filesystem keeps its pages";
    }
    test::RawClient client(site.port);
    client.send(kClose);
    const auto answer = client.read_all();
    EXPECT_EQ(client.was_reset(), forgotten);
    EXPECT_EQ(answer.ends_with(site.content), !forgotten);
    EXPECT_EQ(site.ended.get_future().get().cause, forgotten ? EndCause::file : EndCause::complete);
  }
}

TEST(Server, a_client_that_resets_cancels_its_operation) {
  struct Flag final : Operation {
    explicit Flag(std::promise<void>& p) : gone(p) {}
    ~Flag() override { gone.set_value(); }
    std::promise<void>& gone;
  };
  Site site;
  std::promise<void> asked;
  std::promise<void> gone;
  site.on_request = [&](const Request& request, Responder) {
    EXPECT_EQ(request.peer.ip, "127.0.0.1");
    EXPECT_EQ(request.id.size(), 16U);
    asked.set_value();
    return std::make_unique<Flag>(gone);
  };
  test::RawClient client(site.port);
  client.send(kKeep);
  asked.get_future().wait();
  client.reset();
  gone.get_future().wait();
}

TEST(Server, an_error_answer_reaches_a_client_that_is_still_sending) {
  ServerOptions options;
  options.max_body_bytes = 10;
  Site site(options);
  test::RawClient client(site.port);
  client.send("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 500000\r\n\r\n" + std::string(500'000, 'x'));
  EXPECT_EQ(client.read_all().substr(0, 12), "HTTP/1.1 413");
  EXPECT_TRUE(client.ended());
}

TEST(Server, an_early_answer_reaches_a_client_that_sends_100_mb_before_it_reads) {
  Site site;
  site.mode = BodyMode::stream;
  site.on_request = [](const Request&, Responder responder) {
    Response response;
    response.status = 403;
    responder.send(std::move(response));
    return nullptr;
  };
  test::RawClient client(site.port);
  EXPECT_TRUE(client.send("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\n"));
  const std::string piece(1'000'000, 'x');
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(client.send(piece)) << i;
  EXPECT_EQ(client.read_all().substr(0, 12), "HTTP/1.1 403");
  EXPECT_TRUE(client.ended());
}

// Reads a body to its end and answers with the number of its bytes.
struct Count final : Operation {
  Count(std::shared_ptr<RequestBody> b, Responder r) : body(std::move(b)), responder(std::move(r)) { next(); }
  void next() {
    body->read([this](base::Result<RequestBody::Chunk> chunk) {
      if (!chunk) return;
      if (*chunk == nullptr) {
        Response response;
        response.text = std::to_string(total);
        return responder.send(std::move(response));
      }
      total += (*chunk)->size();
      next();
    });
  }
  std::shared_ptr<RequestBody> body;
  Responder responder;
  std::uint64_t total = 0;
};

TEST(Server, streams_large_bodies_and_goes_on_with_the_next_request) {
  Site site;
  site.mode = BodyMode::stream;
  site.on_request = [](const Request& request, Responder responder) {
    return std::make_unique<Count>(request.stream, std::move(responder));
  };
  test::RawClient client(site.port);
  const std::string piece(1'000'000, 'x');
  for (const char* last : {"", "Connection: close\r\n"}) {
    EXPECT_TRUE(client.send("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 30000000\r\n" + std::string(last) + "\r\n"));
    for (int i = 0; i < 30; ++i) ASSERT_TRUE(client.send(piece)) << i;
  }
  const auto answers = client.read_all();
  const auto first = answers.find("30000000");
  EXPECT_NE(first, std::string::npos);
  EXPECT_NE(answers.find("30000000", first + 1), std::string::npos);
}

TEST(Server, slow_headers_end_with_408) {
  ServerOptions options;
  options.header_timeout = 40ms;
  Site site(options);
  test::RawClient client(site.port);
  client.send("GET / HTTP/1.1\r\n");
  EXPECT_EQ(client.read_all().substr(0, 12), "HTTP/1.1 408");
}

TEST(Server, an_idle_connection_ends_quietly) {
  ServerOptions options;
  options.keep_alive_timeout = 40ms;
  options.header_timeout = 40ms;
  Site site(options);
  test::RawClient client(site.port);
  EXPECT_EQ(client.read_all(), "");
  EXPECT_TRUE(client.ended());
}

TEST(Server, beyond_its_connection_limit_waits_for_one_to_go) {
  ServerOptions options;
  options.max_connections = 1;
  Site site(options);
  site.serve_file(10);
  test::RawClient first(site.port);
  first.send(kKeep);
  EXPECT_NE(first.read_until("\r\n\r\n"), "");
  test::RawClient second(site.port);
  second.send(kClose);
  EXPECT_EQ(site.connections(), 1U);
  (void)site.ended.get_future().get();
  site.thread.run([&] { site.ended = {}; });  // behind the set_value that may still be running
  first.close();
  EXPECT_EQ(body_of(second.read_all()), site.content);
}

TEST(Server, drains) {
  Site site;
  std::promise<void> asked;
  std::unique_ptr<Responder> waiting;
  site.on_request = [&](const Request&, Responder responder) {
    waiting = std::make_unique<Responder>(std::move(responder));
    asked.set_value();
    return nullptr;
  };
  test::RawClient idle(site.port);
  test::RawClient busy(site.port);
  busy.send(kKeep);
  asked.get_future().wait();
  std::promise<void> drained;
  while (site.connections() < 2) {
  }
  site.thread.run([&] { site.server->drain([&] { drained.set_value(); }); });
  EXPECT_EQ(idle.read_all(), "");
  EXPECT_FALSE(test::RawClient(site.port).connected());
  site.thread.run([&] {
    Response response;
    response.text = "last";
    waiting->send(std::move(response));
  });
  EXPECT_EQ(body_of(busy.read_all()), "last");
  drained.get_future().wait();
  EXPECT_EQ(site.connections(), 0U);
}

TEST(Server, going_cuts_what_is_left) {
  auto site = std::make_unique<Site>();
  std::promise<void> asked;
  site->on_request = [&](const Request&, Responder) {
    asked.set_value();
    return nullptr;
  };
  test::RawClient client(site->port);
  client.send(kKeep);
  asked.get_future().wait();
  site.reset();
  EXPECT_EQ(client.read_all(), "");
}

}  // namespace
}  // namespace shoal::http
