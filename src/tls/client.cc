#include "shoal/tls/client.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <cerrno>
#include <cstring>

#include "server_context.h"

namespace shoal::tls {
namespace {

constexpr unsigned char kHttp11[] = "\x08http/1.1";

bool is_ip(const std::string& host) {
  unsigned char raw[sizeof(in6_addr)];
  return ::inet_pton(AF_INET, host.c_str(), raw) == 1 || ::inet_pton(AF_INET6, host.c_str(), raw) == 1;
}

}  // namespace

struct ClientContext::Impl {
  std::unique_ptr<SSL_CTX, FreeSsl> context;
};

ClientContext::ClientContext(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
ClientContext::~ClientContext() = default;

base::Result<std::shared_ptr<const ClientContext>> ClientContext::load(const ClientOptions& options) {
  ERR_clear_error();
  auto impl = std::make_unique<Impl>();
  impl->context.reset(SSL_CTX_new(TLS_client_method()));
  SSL_CTX* const context = impl->context.get();
  if (context == nullptr) return base::Error(base::ErrorKind::bug, "TLS: " + take_ssl_error());
  SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_read_ahead(context, 1);  // one recv for several records
  SSL_CTX_set_alpn_protos(context, kHttp11, sizeof kHttp11 - 1);
  SSL_CTX_set_verify(context, options.verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, nullptr);
  const bool trusted = options.ca_file.empty()
                           ? SSL_CTX_set_default_verify_paths(context) == 1
                           : SSL_CTX_load_verify_locations(context, options.ca_file.c_str(), nullptr) == 1;
  if (!trusted) {
    return base::Error(base::ErrorKind::invalid, take_ssl_error())
        .at("TLS CA", options.ca_file.empty() ? "of the system" : options.ca_file);
  }
  return std::make_shared<const ClientContext>(std::move(impl));
}

struct ClientConnection::Impl {
  std::shared_ptr<const ClientContext> context;  // shared by all connections; the last one may outlive its maker
  std::unique_ptr<SSL, FreeSsl> ssl;
  std::string reason;

  Io outcome(int returned, const char* what) {
    const int error = SSL_get_error(ssl.get(), returned);
    if (error == SSL_ERROR_WANT_READ) return Io::want_read;
    if (error == SSL_ERROR_WANT_WRITE) return Io::want_write;
    if (error == SSL_ERROR_ZERO_RETURN) return Io::ended;
    const int cause = errno;
    const long verified = SSL_get_verify_result(ssl.get());
    auto text = take_ssl_error();
    if (verified != X509_V_OK && SSL_get_verify_mode(ssl.get()) != SSL_VERIFY_NONE) {
      text = X509_verify_cert_error_string(verified);
    } else if (text.empty()) {
      text = error == SSL_ERROR_SYSCALL && cause != 0 ? std::strerror(cause) : "the connection was closed";
    }
    reason = std::string(what) + ": " + text;
    return Io::failed;
  }
};

ClientConnection::ClientConnection(std::shared_ptr<const ClientContext> context, int fd, const std::string& host)
    : impl_(std::make_unique<Impl>()) {
  impl_->context = std::move(context);
  impl_->ssl.reset(SSL_new(impl_->context->impl().context.get()));
  SSL* const ssl = impl_->ssl.get();
  if (ssl == nullptr || SSL_set_fd(ssl, fd) != 1) std::abort();  // no memory
  if (is_ip(host)) {
    (void)X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host.c_str());
  } else {
    (void)SSL_set_tlsext_host_name(ssl, host.c_str());
    (void)SSL_set1_host(ssl, host.c_str());
  }
}
ClientConnection::~ClientConnection() { ERR_clear_error(); }

Io ClientConnection::handshake() {
  ERR_clear_error();
  errno = 0;
  const int done = SSL_connect(impl_->ssl.get());
  return done == 1 ? Io::done : impl_->outcome(done, "TLS handshake");
}

Io ClientConnection::read(std::span<char> into, std::size_t& count) {
  ERR_clear_error();
  errno = 0;
  const int done = SSL_read_ex(impl_->ssl.get(), into.data(), into.size(), &count);
  return done == 1 ? Io::done : impl_->outcome(done, "TLS");
}

Io ClientConnection::write(std::string_view bytes, std::size_t& count) {
  ERR_clear_error();
  errno = 0;
  const int done = SSL_write_ex(impl_->ssl.get(), bytes.data(), bytes.size(), &count);
  return done == 1 ? Io::done : impl_->outcome(done, "TLS");
}

std::string ClientConnection::reason() const { return impl_->reason; }

std::string ClientConnection::session() const {
  return std::string(SSL_get_version(impl_->ssl.get())) + " " + SSL_get_cipher_name(impl_->ssl.get());
}

}  // namespace shoal::tls
