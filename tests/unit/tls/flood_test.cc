// A client that makes us answer and does not take the answers: what waits for it stays small, and nothing is lost.
#include <gtest/gtest.h>

#include "shoal/tls/tls.h"
#include "support/fake_loop.h"
#include "support/fake_stream.h"
#include "tls_client.h"

namespace shoal::tls {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t kChunk = 64 * 1024;  // what one read of a socket brings
constexpr std::size_t kMostQueued = 100 * 1024;

struct Flood : ::testing::Test {
  Flood() {
    const auto loaded = ServerContext::load({identity.certificate_file, identity.key_file, "", ClientAuth::none});
    EXPECT_TRUE(loaded.ok());
    auto made = std::make_unique<test::FakeStream>(loop, wire);
    plain = made.get();
    stream = accept(std::move(made), *loaded, loop, 10s);
    read_start();
    client_context.reset(SSL_CTX_new(TLS_client_method()));
    client.reset(SSL_new(client_context.get()));
    SSL_set_bio(client.get(), BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    SSL_set_connect_state(client.get());
    for (int i = 0; i < 5 && SSL_do_handshake(client.get()) != 1; ++i) {
      deliver(from_client());
      to_client();
    }
    deliver(from_client());
    loop.run_all();
    to_client();
    EXPECT_EQ(SSL_is_init_finished(client.get()), 1);
    EXPECT_EQ(SSL_version(client.get()), TLS1_3_VERSION);
    EXPECT_TRUE(wire->reading);
  }

  void read_start() {
    stream->read_start([this](base::Result<std::string_view> data) {
      if (!data) ++errors;
      if (data) got += *data;
    });
  }
  void update_keys(int times) {
    for (int i = 0; i < times; ++i) {
      ASSERT_EQ(SSL_key_update(client.get(), SSL_KEY_UPDATE_REQUESTED), 1);
      ASSERT_EQ(SSL_do_handshake(client.get()), 1);
    }
  }
  void say(std::string_view text) {
    ASSERT_EQ(SSL_write(client.get(), text.data(), static_cast<int>(text.size())), static_cast<int>(text.size()));
  }
  std::string from_client() {
    BIO* const out = SSL_get_wbio(client.get());
    std::string bytes(BIO_ctrl_pending(out), '\0');
    (void)BIO_read(out, bytes.data(), static_cast<int>(bytes.size()));
    return bytes;
  }
  void to_client() {
    if (!wire->sent.empty())
      BIO_write(SSL_get_rbio(client.get()), wire->sent.data(), static_cast<int>(wire->sent.size()));
    wire->sent.clear();
  }
  // What was not read: the socket keeps it.
  std::string deliver(std::string bytes) {
    while (!bytes.empty() && plain->arrive(std::string_view(bytes).substr(0, kChunk))) {
      bytes.erase(0, std::min(kChunk, bytes.size()));
    }
    return bytes;
  }
  // What leaves at once when there is room, before anything more is read.
  std::size_t queued() {
    wire->sent.clear();
    plain->make_room(SIZE_MAX);
    EXPECT_TRUE(loop.run_one());
    return wire->sent.size();
  }

  test::FakeClock clock;
  test::FakeLoop loop{clock};
  test::TempDir dir;
  Identity identity = make_identity(dir, "server");
  std::shared_ptr<test::FakeWire> wire = std::make_shared<test::FakeWire>();
  test::FakeStream* plain = nullptr;
  std::unique_ptr<net::Stream> stream;
  std::unique_ptr<SSL_CTX, Free> client_context;
  std::unique_ptr<SSL, Free> client;
  std::string got;
  int errors = 0;
};

TEST_F(Flood, of_key_updates_stops_reading_while_the_socket_takes_nothing) {
  update_keys(20'000);
  say("still here");
  plain->make_room(0);
  auto left = deliver(from_client());
  loop.run_all();
  EXPECT_FALSE(wire->reading);
  EXPECT_GT(left.size(), 300'000U);
  EXPECT_EQ(got, "");
  const auto first = queued();
  EXPECT_GT(first, 64U * 1024);
  EXPECT_LT(first, kMostQueued);
  loop.run_all();
  EXPECT_TRUE(wire->reading);
  left = deliver(std::move(left));
  loop.run_all();
  EXPECT_EQ(left, "");
  EXPECT_EQ(got, "still here");
  EXPECT_EQ(errors, 0);

  const std::string_view answer = "so are we";
  ASSERT_EQ(*stream->write_some({&answer, 1}), answer.size());
  to_client();
  char text[32];
  ASSERT_EQ(SSL_read(client.get(), text, sizeof text), std::ssize(answer));  // every answer before it was in order
  EXPECT_EQ(std::string_view(text, answer.size()), answer);
}

TEST_F(Flood, is_read_on_as_the_socket_takes_a_little_at_a_time) {
  update_keys(20'000);
  say("still here");
  plain->make_room(0);
  auto left = deliver(from_client());
  for (int i = 0; i < 10'000 && got.empty(); ++i) {
    plain->make_room(1000);
    loop.run_all();
    left = deliver(std::move(left));
  }
  EXPECT_EQ(got, "still here");
  EXPECT_LT(queued(), kMostQueued);
}

TEST_F(Flood, is_not_read_by_starting_again) {
  update_keys(20'000);
  plain->make_room(0);
  auto left = deliver(from_client());
  const auto before = left.size();
  for (int i = 0; i < 10; ++i) {
    stream->read_stop();
    read_start();
    loop.run_all();
    left = deliver(std::move(left));
  }
  EXPECT_EQ(left.size(), before);
  EXPECT_FALSE(wire->reading);
  stream->read_stop();
  EXPECT_LT(queued(), kMostQueued);
  loop.run_all();
  EXPECT_FALSE(wire->reading);  // not wanted
  read_start();
  loop.run_all();
  EXPECT_EQ(deliver(std::move(left)), "");
}

TEST_F(Flood, adds_little_to_a_write_that_waits) {
  plain->make_room(0);
  const std::string big(1 << 20, 'b');
  const std::string_view part = big;
  ASSERT_EQ(*stream->write_some({&part, 1}), 0U);
  EXPECT_TRUE(wire->reading);  // a write alone does not keep a request, or the end, from being seen
  say("hear me");
  EXPECT_EQ(deliver(from_client()), "");
  EXPECT_EQ(got, "hear me");
  update_keys(20'000);
  (void)deliver(from_client());
  EXPECT_FALSE(wire->reading);
  EXPECT_LT(queued(), kMostQueued);
}

TEST_F(Flood, then_a_broken_connection_is_an_error_to_the_reader_and_wakes_the_writer) {
  update_keys(20'000);
  plain->make_room(0);
  (void)deliver(from_client());
  bool ready = false;
  stream->on_writable([&] { ready = true; });
  EXPECT_FALSE(plain->fail());
  plain->make_room(0);
  loop.run_all();
  EXPECT_EQ(errors, 1);
  EXPECT_TRUE(ready);
}

TEST_F(Flood, then_the_stream_may_be_dropped) {
  update_keys(20'000);
  plain->make_room(0);
  (void)deliver(from_client());
  plain->make_room(SIZE_MAX);
  ASSERT_TRUE(loop.run_one());
  stream.reset();
  loop.run_all();
  EXPECT_TRUE(wire->dropped);
}

}  // namespace
}  // namespace shoal::tls
