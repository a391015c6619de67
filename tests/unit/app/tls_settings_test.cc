// server.tls and server.plain_listen: what is refused, and where it says so.
#include <gtest/gtest.h>

#include "reload.h"
#include "settings_text.h"

namespace shoal::app {
namespace {

TEST(TlsSettings, none_is_the_default) {
  const auto loaded = load_without_secrets("");
  ASSERT_TRUE(loaded.settings);
  EXPECT_TRUE(loaded.settings->server.tls.cert_file.empty());
  EXPECT_TRUE(loaded.settings->server.plain_listen.empty());
  EXPECT_EQ(loaded.settings->server.tls_context, nullptr);
}

TEST(TlsSettings, halves_are_refused) {
  struct Case {
    const char* yaml;
    const char* says;
  } cases[] = {
      {"server: {tls: {cert: a.pem}}", "server.tls.key"},
      {"server: {tls: {key: a.key}}", "server.tls.key"},
      {"server: {tls: {client_ca: ca.pem}}", "server.tls.client_ca"},
      {"server: {tls: {client_auth: required}}", "server.tls.client_auth"},
      {"server: {tls: {cert: a, key: b, client_auth: required}}", "server.tls.client_auth"},
      {"server: {tls: {cert: a, key: b, client_ca: c}}", "server.tls.client_ca"},
      {"server: {tls: {cert: a, key: b, client_auth: maybe}}", "server.tls.client_auth"},
      {"server: {listen: [\"127.0.0.1:1\"], plain_listen: [\"127.0.0.1:1\"]}", "server.plain_listen"},
      {"{server: {plain_listen: [\"127.0.0.1:1\"]}, admin: {listen: \"127.0.0.1:1\"}}", "admin.listen"},
      {"server: {plain_listen: [nonsense]}", "server.plain_listen"},
  };
  for (const auto& c : cases) {
    const auto loaded = load_without_secrets(c.yaml);
    EXPECT_FALSE(loaded.settings) << c.yaml;
    EXPECT_NE(all(loaded).find(c.says), std::string::npos) << c.yaml << ": " << all(loaded);
  }
}

TEST(TlsSettings, files_that_cannot_be_used_are_errors_where_they_are_read) {
  const char* yaml = "server: {tls: {cert: /no/such.pem, key: /no/such.key, client_ca: /c, client_auth: optional}}";
  EXPECT_TRUE(load_without_secrets(yaml).settings);
  const auto loaded = load(yaml);
  EXPECT_FALSE(loaded.settings);
  EXPECT_NE(all(loaded).find("/no/such.pem"), std::string::npos) << all(loaded);
}

TEST(TlsSettings, renewal_applies_and_switching_needs_a_restart) {
  const auto none = load_without_secrets("");
  const auto one = load_without_secrets("server: {tls: {cert: a, key: b}}");
  const auto two = load_without_secrets("server: {tls: {cert: c, key: d}}");
  EXPECT_EQ(compare(one, two).applicable, (std::vector<std::string>{"server.tls.cert", "server.tls.key"}));
  EXPECT_EQ(compare(none, one).needs_restart, (std::vector<std::string>{"server.tls.cert", "server.tls.key"}));
  EXPECT_EQ(compare(one, none).needs_restart, (std::vector<std::string>{"server.tls.cert", "server.tls.key"}));
}

}  // namespace
}  // namespace shoal::app
