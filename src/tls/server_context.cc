#include "server_context.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <ctime>

namespace shoal::tls {

namespace {

// Forward secrecy and authenticated encryption only. AES-128 first: no weaker in practice and cheaper per byte.
constexpr const char* kCiphersTls12 = "ECDHE+AESGCM:ECDHE+CHACHA20:!aNULL";
constexpr const char* kCiphersTls13 = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256";
constexpr unsigned char kSessionContext[] = "shoal";
constexpr unsigned char kHttp11[] = "\x08http/1.1";

int choose_protocol(SSL*, const unsigned char** out, unsigned char* out_size, const unsigned char* in, unsigned in_size,
                    void*) {
  unsigned char* chosen = nullptr;
  const int found = SSL_select_next_proto(&chosen, out_size, kHttp11, sizeof kHttp11 - 1, in, in_size);
  *out = chosen;
  return found == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;  // RFC 7301 3.2
}

// Never asks on a terminal.
int no_passphrase(char*, int, int, void*) { return -1; }

base::Error unusable(std::string_view what, const std::string& file) {
  const bool missing = ERR_GET_LIB(ERR_peek_error()) == ERR_LIB_SYS;
  const int reason = ERR_GET_REASON(ERR_peek_error());
  const auto text = take_ssl_error();
  if (missing) return base::from_errno(reason, what, file);
  return base::Error(base::ErrorKind::invalid, text.empty() ? "not a usable PEM file" : text).at(what, file);
}

std::chrono::system_clock::time_point not_after(SSL_CTX* context) {
  const X509* certificate = SSL_CTX_get0_certificate(context);
  std::tm parts{};
  if (certificate == nullptr || ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &parts) != 1) return {};
  // A certificate may be good until 9999, the clock's nanoseconds end in 2262.
  using Clock = std::chrono::system_clock;
  constexpr std::int64_t kLast = std::chrono::floor<std::chrono::seconds>(Clock::duration::max()).count();
  return Clock::time_point(std::chrono::seconds(std::clamp<std::int64_t>(::timegm(&parts), 0, kLast)));
}

base::Result<void> load_certificate(SSL_CTX* context, const ServerOptions& options) {
  if (SSL_CTX_use_certificate_chain_file(context, options.cert_file.c_str()) != 1) {
    return unusable("TLS certificate", options.cert_file);
  }
  if (SSL_CTX_use_PrivateKey_file(context, options.key_file.c_str(), SSL_FILETYPE_PEM) != 1) {
    const auto error = ERR_peek_error();
    const auto reason = ERR_GET_REASON(error);
    if (ERR_GET_LIB(error) == ERR_LIB_X509 &&
        (reason == X509_R_KEY_VALUES_MISMATCH || reason == X509_R_KEY_TYPE_MISMATCH)) {
      ERR_clear_error();
      return base::Error(base::ErrorKind::invalid, "is not the key of the certificate " + options.cert_file)
          .at("TLS key", options.key_file);
    }
    return unusable("TLS key", options.key_file);
  }
  if (SSL_CTX_check_private_key(context) != 1) return unusable("TLS key", options.key_file);
  return {};
}

base::Result<void> load_client_ca(SSL_CTX* context, const ServerOptions& options) {
  if (options.client_auth == ClientAuth::none) return {};
  if (options.client_ca_file.empty()) {
    return base::Error(base::ErrorKind::invalid, "TLS client certificates need a client_ca file to check them with");
  }
  if (SSL_CTX_load_verify_locations(context, options.client_ca_file.c_str(), nullptr) != 1) {
    return unusable("TLS client CA", options.client_ca_file);
  }
  SSL_CTX_set_client_CA_list(context, SSL_load_client_CA_file(options.client_ca_file.c_str()));
  const int demand = options.client_auth == ClientAuth::required ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0;
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER | demand, nullptr);
  return {};
}

bool is_members(X509_STORE* members, X509_STORE_CTX* shown) {
  const std::unique_ptr<X509_STORE_CTX, decltype(&X509_STORE_CTX_free)> check(X509_STORE_CTX_new(),
                                                                              &X509_STORE_CTX_free);
  const bool good = check != nullptr &&
                    X509_STORE_CTX_init(check.get(), members, X509_STORE_CTX_get0_cert(shown),
                                        X509_STORE_CTX_get0_untrusted(shown)) == 1 &&
                    X509_STORE_CTX_set_default(check.get(), "ssl_client") == 1 && X509_verify_cert(check.get()) == 1;
  ERR_clear_error();
  return good;
}

// Once for each full handshake with a certificate. The result that OpenSSL keeps with the session, and in its tickets,
// says whether it is a member's: X509_V_OK. A resumed session has no chain to look at again.
int judge_certificate(X509_STORE_CTX* shown, void* context) {
  const auto& impl = *static_cast<const ServerContext::Impl*>(context);
  if (is_members(impl.members.get(), shown)) {
    X509_STORE_CTX_set_error(shown, X509_V_OK);
    return 1;
  }
  if (impl.client_auth != ClientAuth::none && X509_verify_cert(shown) != 1) return 0;
  X509_STORE_CTX_set_error(shown, X509_V_ERR_APPLICATION_VERIFICATION);
  return 1;
}

// Nobody was asked for a certificate before: a client that shows one of another CA is not turned away.
base::Result<void> load_members_ca(ServerContext::Impl& impl, const ServerOptions& options) {
  if (options.members_ca_file.empty()) return {};
  impl.client_auth = options.client_auth;
  impl.members.reset(X509_STORE_new());
  if (impl.members == nullptr || X509_STORE_load_file(impl.members.get(), options.members_ca_file.c_str()) != 1) {
    return unusable("TLS CA of members", options.members_ca_file);
  }
  SSL_CTX* const context = impl.context.get();
  if (SSL_CTX_get_client_CA_list(context) == nullptr) SSL_CTX_set_client_CA_list(context, sk_X509_NAME_new_null());
  (void)SSL_add_file_cert_subjects_to_stack(SSL_CTX_get_client_CA_list(context), options.members_ca_file.c_str());
  ERR_clear_error();  // the list is a hint for clients
  SSL_CTX_set_verify(context, SSL_CTX_get_verify_mode(context) | SSL_VERIFY_PEER, nullptr);
  SSL_CTX_set_cert_verify_callback(context, judge_certificate, &impl);
  return {};
}

}  // namespace

bool shows_members_certificate(const ServerContext::Impl& context, const SSL* ssl) {
  return context.members != nullptr && SSL_get0_peer_certificate(ssl) != nullptr &&
         SSL_get_verify_result(ssl) == X509_V_OK;
}

std::string take_ssl_error() {
  const auto error = ERR_get_error();
  ERR_clear_error();
  if (error == 0) return {};
  if (const char* reason = ERR_reason_error_string(error)) return reason;
  return "OpenSSL error " + std::to_string(error);
}

ServerContext::ServerContext(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
ServerContext::~ServerContext() = default;

std::chrono::system_clock::time_point ServerContext::expires() const { return impl_->expires; }

bool ServerContext::kernel_makes_records() const { return impl_->ktls; }

base::Result<std::shared_ptr<const ServerContext>> ServerContext::load(const ServerOptions& options) {
  ERR_clear_error();
  auto impl = std::make_unique<Impl>();
  impl->context.reset(SSL_CTX_new(TLS_server_method()));
  SSL_CTX* const context = impl->context.get();
  if (context == nullptr || SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) != 1 ||
      SSL_CTX_set_cipher_list(context, kCiphersTls12) != 1 || SSL_CTX_set_ciphersuites(context, kCiphersTls13) != 1) {
    return base::Error(base::ErrorKind::bug, "TLS setup: " + take_ssl_error());
  }
  SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE |
                                   SSL_OP_PRIORITIZE_CHACHA);
  impl->ktls = options.ktls && net::kernel_makes_tls_records();
  if (options.ktls) SSL_CTX_set_options(context, SSL_OP_ENABLE_KTLS);
  SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  // Resumption is by tickets, whose keys live and die with this context.
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_session_id_context(context, kSessionContext, sizeof kSessionContext - 1);
  SSL_CTX_set_num_tickets(context, 1);
  SSL_CTX_set_alpn_select_cb(context, choose_protocol, nullptr);
  SSL_CTX_set_default_passwd_cb(context, no_passphrase);
  if (auto loaded = load_certificate(context, options); !loaded) return loaded.error();
  if (auto loaded = load_client_ca(context, options); !loaded) return loaded.error();
  if (auto loaded = load_members_ca(*impl, options); !loaded) return loaded.error();
  impl->expires = not_after(context);
  return std::shared_ptr<const ServerContext>(std::make_shared<ServerContext>(std::move(impl)));
}

}  // namespace shoal::tls
