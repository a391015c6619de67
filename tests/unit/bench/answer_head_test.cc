#include "answer_head.h"

#include <gtest/gtest.h>

namespace shoal::bench {
namespace {

const std::string kHead =
    "HTTP/1.1 200 OK\r\ncontent-LENGTH: 12\r\nCache-Status: shoal; hit\r\nX: y\r\nContent-Type: a/b \r\n"
    "Docker-Content-Digest: sha256:aa\r\n\r\n";

TEST(BenchAnswerHead, ReadsWhatItNeeds) {
  ASSERT_EQ(head_size(kHead + "body"), kHead.size());
  const auto head = parse_head(kHead);
  ASSERT_TRUE(head.ok());
  EXPECT_EQ(head->status, 200);
  EXPECT_EQ(head->length, 12U);
  EXPECT_EQ(head->cache_status, "shoal; hit");
  EXPECT_EQ(head->content_type, "a/b");
  EXPECT_EQ(head->digest, "sha256:aa");
  EXPECT_TRUE(head->keep);
  EXPECT_FALSE(head->chunked);
}

TEST(BenchAnswerHead, IsNotThereUntilItsLastByte) {
  for (std::size_t i = 0; i < kHead.size(); ++i) EXPECT_EQ(head_size(kHead.substr(0, i)), 0U) << i;
}

TEST(BenchAnswerHead, SeveralLinesOfOneHeaderAreOneList) {
  const auto head = parse_head(
      "HTTP/1.1 401 No\r\nWWW-Authenticate: Basic realm=\"a\"\r\n"
      "Www-Authenticate: Bearer realm=\"b\"\r\nConnection: Close\r\n\r\n");
  ASSERT_TRUE(head.ok());
  EXPECT_EQ(head->challenge, "Basic realm=\"a\", Bearer realm=\"b\"");
  EXPECT_FALSE(head->keep);
}

TEST(BenchAnswerHead, RefusesWhatCouldBeReadInTwoWays) {
  for (const char* text :
       {"HTTP/2 200\r\n\r\n", "ICY 200 OK....\r\n\r\n", "HTTP/1.1 2x0 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", "HTTP/1.1 200 OK\r\nnothing\r\n\r\n"}) {
    EXPECT_FALSE(parse_head(text).ok()) << text;
  }
}

TEST(BenchChunks, ComeApartWhereverTheyAreCut) {
  const std::string body = "5;x=y\r\nhello\r\n1\r\n \r\nA\r\n0123456789\r\n0\r\nTrailer: t\r\n\r\n";
  for (std::size_t cut = 0; cut <= body.size(); ++cut) {
    ChunkReader reader;
    std::string content;
    const auto take = [&content](std::string_view bytes) { content += bytes; };
    ASSERT_TRUE(reader.feed(std::string_view(body).substr(0, cut), take)) << cut;
    EXPECT_EQ(reader.over(), cut == body.size());
    ASSERT_TRUE(reader.feed(std::string_view(body).substr(cut), take)) << cut;
    EXPECT_EQ(content, "hello 0123456789");
    EXPECT_TRUE(reader.over());
  }
}

TEST(BenchChunks, BrokenOnesAreRefused) {
  for (const char* body : {"x\r\n", "\r\n", "5\r\nhelloX", "1111111111111111\r\n", "0\r\n\r\nmore"}) {
    ChunkReader reader;
    EXPECT_FALSE(reader.feed(body, [](std::string_view) {})) << body;
  }
}

}  // namespace
}  // namespace shoal::bench
