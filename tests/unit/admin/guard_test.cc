#include "guard.h"

#include <gtest/gtest.h>

namespace shoal::admin {
namespace {

http::Request request_for(std::string host, http::Method method, bool header) {
  http::Request request;
  request.host = std::move(host);
  request.method = method;
  if (header) request.headers.add("x-shoal", "1");
  return request;
}

TEST(Guard, KnowsAddressesLocalhostAndListedNames) {
  const std::vector<std::string> listed{"Mirror.lan"};
  for (const char* host : {"127.0.0.1", "127.0.0.1:5001", "[::1]:5001", "[::1]", "localhost", "LOCALHOST:5001",
                           "192.0.2.7:80", "mirror.lan:5001", "MIRROR.LAN"}) {
    EXPECT_TRUE(host_allowed(host, listed)) << host;
  }
  for (const char* host : {"", "evil.com", "evil.com:5001", "127.0.0.1.evil.com", "localhost.evil.com", "[evil]", "[",
                           "mirror.lan.evil.com", "127.0.0.1@evil.com"}) {
    EXPECT_FALSE(host_allowed(host, listed)) << host;
  }
}

TEST(Guard, RebindingIsRefusedEvenForReads) {
  const auto refusal = refuse_stranger(request_for("evil.com", http::Method::get, true), {});
  ASSERT_TRUE(refusal);
  EXPECT_EQ(refusal->status, 403);
}

TEST(Guard, ChangesNeedTheHeader) {
  for (const auto method : {http::Method::post, http::Method::del, http::Method::put}) {
    EXPECT_TRUE(refuse_stranger(request_for("127.0.0.1", method, false), {}));
    EXPECT_FALSE(refuse_stranger(request_for("127.0.0.1", method, true), {}));
  }
  EXPECT_FALSE(refuse_stranger(request_for("127.0.0.1", http::Method::get, false), {}));
  EXPECT_FALSE(refuse_stranger(request_for("127.0.0.1", http::Method::head, false), {}));
}

}  // namespace
}  // namespace shoal::admin
