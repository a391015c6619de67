// Records made by the kernel: by one of our own, whose records a real OpenSSL client reads, and by the machine's.
#include <gtest/gtest.h>
#include <linux/tls.h>
#include <openssl/evp.h>

#include <array>
#include <cstring>

#include "shoal/tls/tls.h"
#include "support/fake_loop.h"
#include "support/fake_stream.h"
#include "tls_client.h"

namespace shoal::tls {
namespace {

using namespace std::chrono_literals;

constexpr std::uint8_t kAlert = 21, kHandshake = 22, kApplicationData = 23;

// Makes records of TLS 1.3 with AES-128-GCM (RFC 8446, 5.2) of what the stream sends.
class FakeKernel final : public net::KernelTls {
 public:
  explicit FakeKernel(test::FakeWire& wire) : wire_(wire) {}
  bool begin(std::string_view keys) override {
    began_behind = wire_.sent.size();
    if (!offered || keys.size() != sizeof keys_) return false;
    std::memcpy(&keys_, keys.data(), sizeof keys_);
    for (const auto byte : keys_.rec_seq) sequence_ = sequence_ << 8 | byte;
    begun = true;
    return true;
  }
  base::Result<std::size_t> write_record(std::uint8_t type, std::string_view bytes) override {
    types.push_back(type);
    seal(type, bytes);
    return bytes.size();
  }
  bool settled() override { return is_settled; }

  // What was written to the stream since the last call becomes a record.
  void seal_rest() {
    const std::string plain = wire_.sent.substr(sealed_);
    wire_.sent.resize(sealed_);
    if (plain.empty()) return;
    types.push_back(kApplicationData);
    seal(kApplicationData, plain);
  }
  void forget_sent() {
    wire_.sent.clear();
    sealed_ = 0;
  }

  bool offered = true;
  bool begun = false;
  bool is_settled = true;
  std::size_t began_behind = 0;
  std::vector<std::uint8_t> types;

 private:
  void seal(std::uint8_t type, std::string_view bytes) {
    std::string plain(bytes);
    plain.push_back(static_cast<char>(type));
    const auto size = plain.size() + 16;
    const std::array<unsigned char, 5> head{kApplicationData, 3, 3, static_cast<unsigned char>(size >> 8),
                                            static_cast<unsigned char>(size)};
    std::array<unsigned char, 12> nonce{};
    std::memcpy(nonce.data(), keys_.salt, sizeof keys_.salt);
    std::memcpy(nonce.data() + sizeof keys_.salt, keys_.iv, sizeof keys_.iv);
    for (std::size_t i = 0; i < 8; ++i) nonce[11 - i] ^= static_cast<unsigned char>(sequence_ >> (8 * i));
    ++sequence_;
    std::string sealed(size, '\0');
    auto* const out = reinterpret_cast<unsigned char*>(sealed.data());
    int n = 0;
    EVP_CIPHER_CTX* const cipher = EVP_CIPHER_CTX_new();
    EXPECT_EQ(EVP_EncryptInit_ex(cipher, EVP_aes_128_gcm(), nullptr, keys_.key, nonce.data()), 1);
    EXPECT_EQ(EVP_EncryptUpdate(cipher, nullptr, &n, head.data(), head.size()), 1);
    EXPECT_EQ(EVP_EncryptUpdate(cipher, out, &n, reinterpret_cast<const unsigned char*>(plain.data()),
                                static_cast<int>(plain.size())),
              1);
    EXPECT_EQ(EVP_EncryptFinal_ex(cipher, out + n, &n), 1);
    EXPECT_EQ(EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_GCM_GET_TAG, 16, out + plain.size()), 1);
    EVP_CIPHER_CTX_free(cipher);
    wire_.sent.append(reinterpret_cast<const char*>(head.data()), head.size()).append(sealed);
    sealed_ = wire_.sent.size();
  }

  test::FakeWire& wire_;
  tls12_crypto_info_aes_gcm_128 keys_{};
  std::uint64_t sequence_ = 0;
  std::size_t sealed_ = 0;
};

struct Ktls : ::testing::Test {
  void connect(bool ktls = true) {
    ServerOptions options{identity.certificate_file, identity.key_file, "", ClientAuth::none};
    options.ktls = ktls;
    const auto loaded = ServerContext::load(options);
    ASSERT_TRUE(loaded.ok());
    auto made = std::make_unique<test::FakeStream>(loop, wire);
    plain = made.get();
    plain->kernel = &kernel;
    stream = accept(std::move(made), *loaded, loop, 10s);
    stream->read_start([this](base::Result<std::string_view> data) {
      if (data) got += *data;
      if (!data) errors.push_back(data.error().message());
    });
    client_context.reset(SSL_CTX_new(TLS_client_method()));
    client.reset(SSL_new(client_context.get()));
    SSL_set_bio(client.get(), BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    SSL_set_connect_state(client.get());
    for (int i = 0; i < 5 && SSL_do_handshake(client.get()) != 1; ++i) {
      from_client();
      to_client();
    }
    from_client();
    to_client();
    ASSERT_EQ(SSL_is_init_finished(client.get()), 1);
  }
  void from_client() {
    BIO* const out = SSL_get_wbio(client.get());
    std::string bytes(BIO_ctrl_pending(out), '\0');
    (void)BIO_read(out, bytes.data(), static_cast<int>(bytes.size()));
    if (!bytes.empty()) plain->arrive(bytes);
    loop.run_all();
  }
  void to_client() {
    if (wire->sent.empty()) return;
    BIO_write(SSL_get_rbio(client.get()), wire->sent.data(), static_cast<int>(wire->sent.size()));
    kernel.forget_sent();
  }
  std::string client_reads() {
    std::string text(100'000, '\0');
    std::size_t size = 0;
    ERR_clear_error();
    const int done = SSL_read_ex(client.get(), text.data(), text.size(), &size);
    end = done == 1 ? SSL_ERROR_NONE : SSL_get_error(client.get(), done);
    text.resize(size);
    return text;
  }
  base::Result<std::size_t> write(std::string_view text) { return stream->write_some({&text, 1}); }

  test::FakeClock clock;
  test::FakeLoop loop{clock};
  test::TempDir dir;
  Identity identity = make_identity(dir, "server");
  std::shared_ptr<test::FakeWire> wire = std::make_shared<test::FakeWire>();
  FakeKernel kernel{*wire};
  test::FakeStream* plain = nullptr;
  std::unique_ptr<net::Stream> stream;
  std::unique_ptr<SSL_CTX, Free> client_context;
  std::unique_ptr<SSL, Free> client;
  std::string got;
  std::vector<std::string> errors;
  int end = 0;
};

TEST_F(Ktls, takes_what_is_written_and_openssl_keeps_its_own_messages) {
  connect();
  ASSERT_TRUE(kernel.begun);
  EXPECT_EQ(kernel.types, std::vector<std::uint8_t>{kHandshake});  // the ticket
  ASSERT_EQ(SSL_write(client.get(), "question", 8), 8);
  from_client();
  EXPECT_EQ(got, "question");
  EXPECT_EQ(*write("an answer"), 9U);
  EXPECT_EQ(wire->sent, "an answer");  // as it is
  kernel.seal_rest();
  to_client();
  EXPECT_EQ(client_reads(), "an answer");
  stream->shutdown_write();
  EXPECT_EQ(kernel.types.back(), kAlert);
  EXPECT_TRUE(wire->write_ended);
  to_client();
  EXPECT_EQ(client_reads(), "");
  EXPECT_EQ(end, SSL_ERROR_ZERO_RETURN);
}

TEST_F(Ktls, ends_the_session_of_a_stream_that_is_dropped) {
  connect();
  stream.reset();
  to_client();
  EXPECT_EQ(client_reads(), "");
  EXPECT_EQ(end, SSL_ERROR_ZERO_RETURN);
}

TEST_F(Ktls, tells_of_bytes_once_closing_would_not_lose_them) {
  connect();
  kernel.is_settled = false;
  EXPECT_EQ(*write("0123456789"), 0U);
  EXPECT_EQ(wire->sent, "0123456789");
  EXPECT_EQ(*write("0123"), 4U);  // of those that left
  kernel.is_settled = true;
  EXPECT_EQ(*write("456789abc"), 6U);
  EXPECT_EQ(*write("abc"), 3U);
  EXPECT_EQ(wire->sent, "0123456789abc");
}

TEST_F(Ktls, is_left_alone_where_it_does_not_know_the_keys) {
  kernel.offered = false;
  connect();
  EXPECT_TRUE(kernel.types.empty());
  EXPECT_EQ(*write("an answer"), 9U);
  EXPECT_EQ(wire->sent.find("answer"), std::string::npos);
  to_client();
  EXPECT_EQ(client_reads(), "an answer");
}

TEST_F(Ktls, is_not_asked_where_it_is_switched_off) {
  connect(/*ktls=*/false);
  EXPECT_EQ(plain->kernel_asked, 0);
  EXPECT_FALSE(kernel.begun);
  EXPECT_EQ(*write("an answer"), 9U);
  to_client();
  EXPECT_EQ(client_reads(), "an answer");
}

TEST_F(Ktls, is_not_given_keys_while_older_records_wait) {
  wire->room = 100;  // of some 700 bytes
  const auto loaded = ServerContext::load({identity.certificate_file, identity.key_file, "", ClientAuth::none});
  auto made = std::make_unique<test::FakeStream>(loop, wire);
  plain = made.get();
  plain->kernel = &kernel;
  stream = accept(std::move(made), *loaded, loop, 10s);
  stream->read_start([](base::Result<std::string_view>) {});
  client_context.reset(SSL_CTX_new(TLS_client_method()));
  client.reset(SSL_new(client_context.get()));
  SSL_set_bio(client.get(), BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
  SSL_set_connect_state(client.get());
  EXPECT_NE(SSL_do_handshake(client.get()), 1);
  from_client();
  plain->make_room(SIZE_MAX);
  loop.run_all();
  to_client();
  EXPECT_EQ(SSL_do_handshake(client.get()), 1);
  from_client();
  EXPECT_FALSE(kernel.begun);
  EXPECT_EQ(kernel.began_behind, 0U);  // not even asked
  EXPECT_EQ(*write("an answer"), 9U);
  to_client();
  EXPECT_EQ(client_reads(), "an answer");
}

TEST_F(Ktls, keeps_its_keys_whatever_the_client_does_with_its_own) {
  connect();
  for (const int asked : {SSL_KEY_UPDATE_NOT_REQUESTED, SSL_KEY_UPDATE_REQUESTED}) {
    got.clear();
    ASSERT_EQ(SSL_key_update(client.get(), asked), 1);
    ASSERT_EQ(SSL_do_handshake(client.get()), 1);
    ASSERT_EQ(SSL_write(client.get(), "question", 8), 8);
    from_client();
    EXPECT_EQ(got, "question");
    EXPECT_TRUE(errors.empty());
    EXPECT_EQ(*write("an answer"), 9U);
    kernel.seal_rest();
    to_client();
    EXPECT_EQ(client_reads(), "an answer");
  }
  EXPECT_EQ(kernel.types, (std::vector<std::uint8_t>{kHandshake, kApplicationData, kApplicationData}));
}

TEST(KernelTls, of_this_machine_is_used) {
  const auto loaded = [](bool ktls) {
    const test::TempDir dir;
    const auto identity = make_identity(dir, "server");
    ServerOptions options{identity.certificate_file, identity.key_file, "", ClientAuth::none};
    options.ktls = ktls;
    return ServerContext::load(options);
  };
  EXPECT_FALSE((*loaded(false))->kernel_makes_records());
  if (!net::kernel_makes_tls_records()) GTEST_SKIP() << "this kernel makes no TLS records; try: modprobe tls";
  EXPECT_TRUE((*loaded(true))->kernel_makes_records());
}

}  // namespace
}  // namespace shoal::tls
