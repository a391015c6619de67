#include "target.h"

#include <gtest/gtest.h>

namespace shoal::bench {
namespace {

const std::string kDigest = "sha256:" + std::string(64, 'a');

TEST(BenchTarget, ReadsAddressesAndNames) {
  struct Case {
    std::string text, image, url, repository, reference;
  };
  const Case cases[] = {
      {"http://127.0.0.1:5000/library/alpine:3", "", "http://127.0.0.1:5000", "library/alpine", "3"},
      {"http://127.0.0.1:5000/library/alpine", "", "http://127.0.0.1:5000", "library/alpine", "latest"},
      {"https://r.example/a/b/c:v1@" + kDigest, "", "https://r.example", "a/b/c", kDigest},
      {"http://[::1]:5000/a:1", "", "http://[::1]:5000", "a", "1"},
      {"http://mirror:5000/ghcr.io/owner/app:2", "", "http://mirror:5000", "ghcr.io/owner/app", "2"},
      {"http://mirror:5000/localhost:7000/app:2", "", "http://mirror:5000", "localhost:7000/app", "2"},
      {"ghcr.io/owner/app:2", "", "https://ghcr.io", "owner/app", "2"},
      {"docker.io/alpine:3", "", "https://registry-1.docker.io", "library/alpine", "3"},
      {"docker.io/team/app", "", "https://registry-1.docker.io", "team/app", "latest"},
      {"http://127.0.0.1:5000", "library/alpine:3", "http://127.0.0.1:5000", "library/alpine", "3"},
      {"HTTPS://r.example/a:1", "", "https://r.example", "a", "1"},
      {"http://127.0.0.1:5000/", "a@" + kDigest, "http://127.0.0.1:5000", "a", kDigest},
  };
  for (const auto& c : cases) {
    const auto target = parse_target(c.text, c.image);
    ASSERT_TRUE(target.ok()) << c.text << ": " << target.error().message();
    EXPECT_EQ(target->url, c.url) << c.text;
    EXPECT_EQ(target->repository, c.repository) << c.text;
    EXPECT_EQ(target->reference, c.reference) << c.text;
  }
}

TEST(BenchTarget, ShowsItselfAsItIsWritten) {
  EXPECT_EQ(parse_target("http://h:1/a/b:2", "")->text(), "http://h:1/a/b:2");
  EXPECT_EQ(parse_target("http://h:1/a@" + kDigest, "")->text(), "http://h:1/a@" + kDigest);
}

TEST(BenchTarget, RefusesWhatMakesNoSense) {
  for (const char* text : {"", "http://", "http://h", "http://h/", "ftp://h/a:1", "http://h/UPPER:1", "http://h/a:",
                           "http://h/a@sha256:12", "http://h/a?b", "http://h:99999/a", "http://h/a//b"}) {
    const auto target = parse_target(text, "");
    ASSERT_FALSE(target.ok()) << text;
    EXPECT_EQ(target.error().kind(), base::ErrorKind::invalid);
  }
  EXPECT_FALSE(parse_target("http://h/name", "image:1").ok());
}

TEST(BenchTarget, APasswordInTheUrlIsRefusedAndNotRepeated) {
  const auto target = parse_target("http://ann:geheim@h/a:1", "");
  ASSERT_FALSE(target.ok());
  EXPECT_EQ(target.error().message().find("geheim"), std::string::npos);
}

}  // namespace
}  // namespace shoal::bench
