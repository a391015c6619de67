// TlsClient: a blocking OpenSSL client of the test's thread; Certificates: a CA and what it signs, made in memory.
#pragma once

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <cstdio>
#include <memory>
#include <string>
#include <string_view>

#include "support/raw_client.h"
#include "support/temp_dir.h"

namespace shoal::tls {

struct Free {
  void operator()(EVP_PKEY* p) const { EVP_PKEY_free(p); }
  void operator()(X509* p) const { X509_free(p); }
  void operator()(SSL_CTX* p) const { SSL_CTX_free(p); }
  void operator()(SSL* p) const { SSL_free(p); }
  void operator()(SSL_SESSION* p) const { SSL_SESSION_free(p); }
};

struct Identity {
  std::unique_ptr<EVP_PKEY, Free> key;
  std::unique_ptr<X509, Free> certificate;
  std::string key_file;
  std::string certificate_file;
};

// `signer` null: self-signed, a CA.
inline Identity make_identity(const test::TempDir& dir, const std::string& name, const Identity* signer = nullptr,
                              long valid_seconds = 3600) {
  static long serial = 1;
  Identity made;
  made.key.reset(EVP_EC_gen("P-256"));
  made.certificate.reset(X509_new());
  X509* const x = made.certificate.get();
  X509_set_version(x, 2);
  ASN1_INTEGER_set(X509_get_serialNumber(x), ++serial);
  X509_gmtime_adj(X509_getm_notBefore(x), -60);
  X509_gmtime_adj(X509_getm_notAfter(x), valid_seconds);
  X509_set_pubkey(x, made.key.get());
  X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1, 0);
  X509_set_issuer_name(x, X509_get_subject_name(signer != nullptr ? signer->certificate.get() : x));
  if (signer == nullptr) {
    X509_EXTENSION* ca = X509V3_EXT_conf_nid(nullptr, nullptr, NID_basic_constraints, "critical,CA:TRUE");
    X509_add_ext(x, ca, -1);
    X509_EXTENSION_free(ca);
  }
  X509_sign(x, signer != nullptr ? signer->key.get() : made.key.get(), EVP_sha256());
  made.key_file = dir.file(name + ".key");
  made.certificate_file = dir.file(name + ".pem");
  std::FILE* file = std::fopen(made.key_file.c_str(), "w");
  PEM_write_PrivateKey(file, made.key.get(), nullptr, nullptr, 0, nullptr, nullptr);
  std::fclose(file);
  file = std::fopen(made.certificate_file.c_str(), "w");
  PEM_write_X509(file, x);
  std::fclose(file);
  return made;
}

class TlsClient {
 public:
  struct Options {
    const Identity* ca = nullptr;     // checks the server against it
    const Identity* shown = nullptr;  // our certificate
    SSL_SESSION* session = nullptr;   // to resume
    int max_version = TLS1_3_VERSION;
    std::string_view alpn = {};  // wire format
    int receive_buffer = 0;
  };
  explicit TlsClient(std::uint16_t port) : TlsClient(port, Options()) {}
  TlsClient(std::uint16_t port, const Options& options)
      : raw(port, options.receive_buffer), context_(SSL_CTX_new(TLS_client_method())) {
    SSL_CTX_set_min_proto_version(context_.get(), TLS1_VERSION);
    SSL_CTX_set_max_proto_version(context_.get(), options.max_version);
    if (options.max_version < TLS1_2_VERSION) SSL_CTX_set_security_level(context_.get(), 0);
    if (options.ca != nullptr) {
      X509_STORE_add_cert(SSL_CTX_get_cert_store(context_.get()), options.ca->certificate.get());
      SSL_CTX_set_verify(context_.get(), SSL_VERIFY_PEER, nullptr);
    }
    if (options.shown != nullptr) {
      SSL_CTX_use_certificate(context_.get(), options.shown->certificate.get());
      SSL_CTX_use_PrivateKey(context_.get(), options.shown->key.get());
    }
    ssl_.reset(SSL_new(context_.get()));
    if (!options.alpn.empty()) {
      SSL_set_alpn_protos(ssl_.get(), reinterpret_cast<const unsigned char*>(options.alpn.data()),
                          static_cast<unsigned>(options.alpn.size()));
    }
    if (options.session != nullptr) SSL_set_session(ssl_.get(), options.session);
    SSL_set_fd(ssl_.get(), raw.fd());
    ERR_clear_error();
    shaken = SSL_connect(ssl_.get()) == 1;
    if (!shaken) error = reason();
  }
  bool send(std::string_view bytes) {
    std::size_t written = 0;
    return SSL_write_ex(ssl_.get(), bytes.data(), bytes.size(), &written) == 1;
  }
  // Until close_notify (clean), or anything else.
  std::string read_all(std::size_t at_most = SIZE_MAX) {
    std::string out;
    char buffer[32 * 1024];
    std::size_t got = 0;
    ERR_clear_error();
    while (out.size() < at_most) {
      const int done = SSL_read_ex(ssl_.get(), buffer, std::min(sizeof buffer, at_most - out.size()), &got);
      if (done == 1) {
        out.append(buffer, got);
        continue;
      }
      clean_end = SSL_get_error(ssl_.get(), done) == SSL_ERROR_ZERO_RETURN;
      if (!clean_end) error = reason();
      break;
    }
    return out;
  }
  void end() { (void)SSL_shutdown(ssl_.get()); }  // close_notify
  [[nodiscard]] SSL* ssl() { return ssl_.get(); }

  test::RawClient raw;
  bool shaken = false;
  bool clean_end = false;
  std::string error;

 private:
  static std::string reason() {
    const auto code = ERR_get_error();
    const char* text = ERR_reason_error_string(code);
    return text != nullptr ? text : "connection";
  }
  std::unique_ptr<SSL_CTX, Free> context_;
  std::unique_ptr<SSL, Free> ssl_;
};

}  // namespace shoal::tls
