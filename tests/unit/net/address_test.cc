#include <gtest/gtest.h>

#include "shoal/net/stream.h"

namespace shoal::net {
namespace {

TEST(Address, is_read_from_text_and_written_back) {
  const struct {
    const char* text;
    const char* ip;
    std::uint16_t port;
    const char* written;
  } good[] = {
      {"127.0.0.1:5000", "127.0.0.1", 5000, "127.0.0.1:5000"},
      {"[::1]:5000", "::1", 5000, "[::1]:5000"},
      {"[::]:0", "::", 0, "[::]:0"},
      {":80", "::", 80, "[::]:80"},
      {"0.0.0.0:65535", "0.0.0.0", 65535, "0.0.0.0:65535"},
  };
  for (const auto& c : good) {
    const auto address = parse_address(c.text);
    ASSERT_TRUE(address.ok()) << c.text;
    EXPECT_EQ(address->ip, c.ip);
    EXPECT_EQ(address->port, c.port);
    EXPECT_EQ(address->to_string(), c.written);
  }
}

TEST(Address, that_is_wrong_is_refused_with_an_example) {
  for (const char* text :
       {"", "5000", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:-1", "127.0.0.1:5x", "localhost:5000",
        "::1:5000", "[::1:5000", "[127.0.0.1]:1", "[]:1", "1.2.3:4", " 1.2.3.4:5", "[::1]x:5", "[fe80::1%eth0]:1"}) {
    const auto address = parse_address(text);
    ASSERT_FALSE(address.ok()) << text;
    EXPECT_EQ(address.error().kind(), base::ErrorKind::invalid);
    EXPECT_NE(address.error().message().find("write 127.0.0.1:5000"), std::string::npos);
  }
  EXPECT_FALSE(parse_address(std::string_view("7.0.0.1\0x:5", 11)).ok());
  EXPECT_FALSE(parse_address(std::string_view("[::1\0]:5", 8)).ok());
}

}  // namespace
}  // namespace shoal::net
