// TLS streams against a real OpenSSL client: what a plain stream promises holds here too.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <functional>
#include <future>
#include <thread>

#include "shoal/tls/tls.h"
#include "support/loop_thread.h"
#include "tls_client.h"

namespace shoal::tls {
namespace {

using namespace std::chrono_literals;

struct Net {
  explicit Net(ClientAuth auth = ClientAuth::none, std::chrono::milliseconds timeout = 10s) {
    auto loaded = ServerContext::load(
        {server.certificate_file, server.key_file, auth == ClientAuth::none ? "" : ca.certificate_file, auth});
    EXPECT_TRUE(loaded.ok()) << loaded.error().message();
    context = *loaded;
    thread.run([this, timeout] {
      auto made = net::Listener::listen(
          thread.loop(), {"127.0.0.1", 0}, {}, [this, timeout](std::unique_ptr<net::Stream> plain) {
            stream = accept(std::move(plain), context, thread.loop(), timeout);
            got.clear();
            stream->read_start([this](base::Result<std::string_view> data) { on_data(std::move(data)); });
          });
      if (made) listener = std::move(*made);
    });
    port = listener->address().port;
  }
  ~Net() {
    thread.run([this] {
      stream.reset();
      listener.reset();
    });
  }
  void on_data(base::Result<std::string_view> data) {
    if (!data) {
      if (!std::exchange(has_failed, true)) failed.set_value(data.error());
      return;
    }
    if (data->empty()) {
      if (!std::exchange(has_ended, true)) ended.set_value(got);
      return;
    }
    got += *data;
    if (on_bytes) on_bytes();
  }
  // Sends it all, in as many steps as it takes, then ends or drops the stream. Inside the loop.
  void push(std::string bytes, bool drop = false) {
    to_send = std::move(bytes);
    sent = 0;
    push_on(drop);
  }
  void push_on(bool drop) {
    while (sent < to_send.size()) {
      const std::string_view rest = std::string_view(to_send).substr(sent);
      const std::string_view parts[] = {rest.substr(0, 100), rest.substr(std::min<std::size_t>(100, rest.size()))};
      const auto n = stream->write_some(parts);
      ASSERT_TRUE(n.ok()) << n.error().message();
      sent += *n;
      if (*n < rest.size()) {
        if (!std::exchange(has_waited, true)) waited.set_value();
        return stream->on_writable([this, drop] { push_on(drop); });
      }
    }
    if (drop) {
      stream.reset();
    } else {
      stream->shutdown_write();
    }
  }

  test::TempDir dir;
  Identity ca = make_identity(dir, "ca");
  Identity server = make_identity(dir, "server", &ca);
  Identity client = make_identity(dir, "client", &ca);
  std::shared_ptr<const ServerContext> context;
  test::LoopThread thread;
  std::unique_ptr<net::Listener> listener;
  std::unique_ptr<net::Stream> stream;
  std::string got;
  std::string to_send;
  std::size_t sent = 0;
  bool has_waited = false;
  std::promise<void> waited;  // for room
  std::function<void()> on_bytes;
  std::promise<std::string> ended;
  std::promise<base::Error> failed;
  bool has_failed = false;
  bool has_ended = false;
  std::uint16_t port = 0;
};

TEST(TlsStream, carries_bytes_both_ways_and_both_ends) {
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    Net net;
    net.on_bytes = [&] {
      if (net.got.size() == 3'000'000) net.push("answer");
    };
    TlsClient client(net.port, {.ca = &net.ca, .max_version = version});
    ASSERT_TRUE(client.shaken) << client.error;
    const std::string big(3'000'000, 'u');
    ASSERT_TRUE(client.send(big));
    EXPECT_EQ(client.read_all(), "answer");
    EXPECT_TRUE(client.clean_end);
    client.end();
    EXPECT_TRUE(net.ended.get_future().get() == big);
  }
}

TEST(TlsStream, loses_nothing_when_dropped_after_the_last_byte_was_taken) {
  for (const bool drop : {false, true}) {
    Net net;
    std::string big(8 << 20, '\0');
    for (std::size_t i = 0; i < big.size(); ++i) big[i] = static_cast<char>(i * 7 / 5);
    net.on_bytes = [&] { net.push(big, drop); };
    TlsClient client(net.port, {.ca = &net.ca, .receive_buffer = 16 * 1024});
    ASSERT_TRUE(client.send("go"));
    net.waited.get_future().wait();
    EXPECT_TRUE(client.read_all() == big);
    // Who drops it has no place for a close_notify that finds the socket's buffer full.
    EXPECT_TRUE(drop || client.clean_end) << client.error;
  }
}

TEST(TlsStream, sends_a_file_behind_a_head) {
  Net net;
  std::string content(5'000'000, '\0');
  for (std::size_t i = 0; i < content.size(); ++i) content[i] = static_cast<char>(i * 11 / 7);
  std::ofstream(net.dir.file("f"), std::ios::binary) << content;
  const base::File file(::open(net.dir.file("f").c_str(), O_RDONLY));
  std::uint64_t at = 1000;
  std::function<void()> push = [&] {
    while (at < content.size()) {
      const auto n = net.stream->send_file(file, at, content.size() - at);
      ASSERT_TRUE(n.ok());
      if (*n == 0) return net.stream->on_writable([&] { push(); });
      at += *n;
    }
    net.stream->cork(false);
    EXPECT_FALSE(net.stream->send_file(file, content.size(), 10).ok());  // shorter than its record
    net.stream->shutdown_write();
  };
  net.on_bytes = [&] {
    net.stream->cork(true);
    const std::string_view head = "head ";
    ASSERT_EQ(*net.stream->write_some({&head, 1}), 5U);
    push();
  };
  TlsClient client(net.port, {.receive_buffer = 16 * 1024});
  ASSERT_TRUE(client.send("go"));
  EXPECT_TRUE(client.read_all() == "head " + content.substr(1000));
  EXPECT_TRUE(client.clean_end);
}

TEST(TlsStream, keeps_bytes_for_later_while_reading_is_stopped) {
  Net net;
  std::promise<void> first;
  std::promise<void> all;
  bool stopped = false;
  net.on_bytes = [&] {
    if (net.got.size() == 1 << 20) all.set_value();
    if (std::exchange(stopped, true)) return;
    net.stream->read_stop();
    first.set_value();
  };
  TlsClient client(net.port);
  std::thread sender([&] { client.send(std::string(1 << 20, 'b')); });
  first.get_future().wait();
  std::size_t before = 0;
  net.thread.run([&] { before = net.got.size(); });
  net.thread.run([] {});
  net.thread.run([&] {
    EXPECT_EQ(net.got.size(), before);
    net.stream->read_start([&](base::Result<std::string_view> data) { net.on_data(std::move(data)); });
  });
  all.get_future().wait();
  sender.join();
}

TEST(TlsStream, may_be_dropped_inside_its_callbacks) {
  {
    Net net;
    net.on_bytes = [&] { net.stream.reset(); };
    TlsClient client(net.port);
    client.send("x");
    EXPECT_EQ(client.read_all(), "");
    EXPECT_TRUE(client.clean_end);
  }
  Net net;
  net.on_bytes = [&] { net.stream->on_writable([&] { net.stream.reset(); }); };
  TlsClient client(net.port);
  client.send("x");
  EXPECT_EQ(client.read_all(), "");
}

TEST(TlsStream, a_reset_never_looks_like_an_end) {
  Net net;
  net.on_bytes = [&] {
    const std::string_view part = "cut";
    ASSERT_TRUE(net.stream->write_some({&part, 1}).ok());
    net.stream->reset();
    EXPECT_FALSE(net.stream->write_some({&part, 1}).ok());
  };
  TlsClient client(net.port);
  client.send("x");
  (void)client.read_all();
  EXPECT_FALSE(client.clean_end);
}

TEST(TlsStream, a_client_that_leaves_without_ending_the_session_is_an_error) {
  Net net;
  TlsClient client(net.port);
  client.send("half");
  client.raw.end();
  EXPECT_EQ(net.failed.get_future().get().kind(), base::ErrorKind::gone);
}

TEST(TlsStream, garbage_in_the_session_is_an_error) {
  Net net;
  TlsClient client(net.port);
  client.raw.send(std::string(100, 'g'));
  EXPECT_EQ(net.failed.get_future().get().kind(), base::ErrorKind::invalid);
}

TEST(TlsHandshake, that_takes_too_long_ends) {
  Net net(ClientAuth::none, 30ms);
  test::RawClient client(net.port);
  client.send("\x16\x03\x01");
  EXPECT_EQ(net.failed.get_future().get().kind(), base::ErrorKind::timeout);
}

TEST(TlsHandshake, refuses_tls_1_1) {
  Net net;
  TlsClient client(net.port, {.max_version = TLS1_1_VERSION});
  EXPECT_FALSE(client.shaken);
  EXPECT_EQ(net.failed.get_future().get().kind(), base::ErrorKind::invalid);
}

TEST(TlsHandshake, tells_plain_http_what_it_met) {
  Net net;
  test::RawClient client(net.port);
  client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  const auto answer = client.read_all();
  EXPECT_EQ(answer.substr(0, 12), "HTTP/1.1 400");
  EXPECT_EQ(answer.size() - answer.find("\r\n\r\n") - 4, 52U);  // as Content-Length says
  EXPECT_EQ(net.failed.get_future().get().kind(), base::ErrorKind::invalid);
}

TEST(TlsHandshake, speaks_http_1_1_only) {
  const unsigned char* chosen = nullptr;
  unsigned size = 0;
  {
    Net net;
    TlsClient client(net.port, {.alpn = "\x02h2\x08http/1.1"});
    ASSERT_TRUE(client.shaken) << client.error;
    SSL_get0_alpn_selected(client.ssl(), &chosen, &size);
    EXPECT_EQ(std::string(reinterpret_cast<const char*>(chosen), size), "http/1.1");
  }
  Net net;
  TlsClient client(net.port, {.alpn = "\x02h2"});
  EXPECT_FALSE(client.shaken);
}

TEST(TlsHandshake, resumes_a_session_by_ticket) {
  Net net;
  net.on_bytes = [&] { net.push("x"); };
  std::unique_ptr<SSL_SESSION, Free> session;
  {
    TlsClient client(net.port);
    client.send("x");
    (void)client.read_all();
    session.reset(SSL_get1_session(client.ssl()));
    client.end();  // one that was not ended properly is not resumed
  }
  TlsClient client(net.port, {.session = session.get()});
  ASSERT_TRUE(client.shaken);
  EXPECT_EQ(SSL_session_reused(client.ssl()), 1);
}

TEST(TlsHandshake, client_certificates) {
  struct Case {
    ClientAuth auth;
    int shown;  // 0: none, 1: of the CA, 2: of another
    bool works;
  } cases[] = {{ClientAuth::none, 0, true},     {ClientAuth::none, 2, true},      {ClientAuth::optional, 0, true},
               {ClientAuth::optional, 1, true}, {ClientAuth::optional, 2, false}, {ClientAuth::required, 0, false},
               {ClientAuth::required, 1, true}, {ClientAuth::required, 2, false}};
  for (const auto& c : cases) {
    Net net(c.auth);
    net.on_bytes = [&] { net.push("fine"); };
    const auto other_ca = make_identity(net.dir, "other-ca");
    const auto other = make_identity(net.dir, "other", &other_ca);
    const Identity* shown[] = {nullptr, &net.client, &other};
    TlsClient client(net.port, {.ca = &net.ca, .shown = shown[c.shown]});
    client.send("x");  // in TLS 1.3 the client learns of a refusal only afterwards
    EXPECT_EQ(client.read_all(), c.works ? "fine" : "") << static_cast<int>(c.auth) << c.shown;
  }
}

TEST(ServerContext, says_which_file_is_wrong_and_why) {
  test::TempDir dir;
  const auto ca = make_identity(dir, "ca");
  const auto one = make_identity(dir, "one", &ca);
  const auto two = make_identity(dir, "two", &ca);
  std::ofstream(dir.file("junk")) << "not PEM";
  struct Case {
    ServerOptions options;
    std::vector<std::string> says;
  } cases[] = {
      {{dir.file("none"), one.key_file, "", ClientAuth::none}, {dir.file("none"), "No such file"}},
      {{dir.file("junk"), one.key_file, "", ClientAuth::none}, {"certificate", dir.file("junk")}},
      {{one.certificate_file, dir.file("none"), "", ClientAuth::none}, {"key", dir.file("none"), "No such file"}},
      {{one.certificate_file, dir.file("junk"), "", ClientAuth::none}, {"key", dir.file("junk")}},
      {{one.certificate_file, two.key_file, "", ClientAuth::none}, {two.key_file, "is not the key of"}},
      {{one.certificate_file, one.key_file, dir.file("none"), ClientAuth::required}, {"CA", dir.file("none")}},
      {{one.certificate_file, one.key_file, "", ClientAuth::required}, {"client_ca"}},
  };
  for (const auto& c : cases) {
    const auto loaded = ServerContext::load(c.options);
    ASSERT_FALSE(loaded.ok());
    for (const auto& text : c.says) {
      EXPECT_NE(loaded.error().message().find(text), std::string::npos) << loaded.error().message();
    }
  }
}

TEST(ServerContext, knows_when_its_certificate_expires) {
  test::TempDir dir;
  const auto one = make_identity(dir, "one", nullptr, 7200);
  const auto loaded = ServerContext::load({one.certificate_file, one.key_file, "", ClientAuth::none});
  ASSERT_TRUE(loaded.ok());
  const auto left = (*loaded)->expires() - std::chrono::system_clock::now();
  EXPECT_GT(left, 7100s);
  EXPECT_LE(left, 7200s);
}

TEST(ServerContext, takes_a_certificate_that_outlives_the_clock) {
  test::TempDir dir;
  const auto one = make_identity(dir, "one", nullptr, 600L * 365 * 24 * 3600);
  const auto loaded = ServerContext::load({one.certificate_file, one.key_file, "", ClientAuth::none});
  ASSERT_TRUE(loaded.ok());
  EXPECT_EQ((*loaded)->expires(),
            std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::time_point::max()));
}

}  // namespace
}  // namespace shoal::tls
