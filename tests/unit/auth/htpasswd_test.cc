#include <gtest/gtest.h>

#include "shoal/auth/auth.h"

namespace shoal::auth {
namespace {

// Well-formed; of no password that matters.
const std::string kTail = "05$RoVaRIoBZEuRrc3cC1zHMuj2gNsAeJgiOMRCnMKyJWSbwBCwXdYYK";

std::string hash_of(const std::string& password) { return *hash_password(password, 4); }

TEST(Htpasswd, VerifiesWhatItHashed) {
  const auto users = Htpasswd::parse("# staff\n\nann:" + hash_of("secret") + "\r\nbob:" + hash_of("other") + "\n");
  ASSERT_TRUE(users.ok()) << users.error().message();
  EXPECT_EQ(users->size(), 2U);
  EXPECT_TRUE(users->has("ann"));
  EXPECT_FALSE(users->has("an"));
  EXPECT_TRUE(users->verify("ann", "secret"));
  EXPECT_TRUE(users->verify("bob", "other"));
  EXPECT_FALSE(users->verify("ann", "other"));
  EXPECT_FALSE(users->verify("ann", "secre"));
  EXPECT_FALSE(users->verify("ann", ""));
  EXPECT_FALSE(users->verify("eve", "secret"));
  EXPECT_FALSE(users->verify("", ""));
  EXPECT_FALSE(users->verify("ann", std::string("secret\0more", 11)));
  EXPECT_FALSE(users->verify("ann", std::string(5000, 'x')));
}

TEST(Htpasswd, KnowsAllThreeNamesOfBcrypt) {
  const auto made = hash_of("secret");
  for (const std::string name : {"$2a$", "$2b$", "$2y$"}) {
    const auto users = Htpasswd::parse("ann:" + name + made.substr(4));
    ASSERT_TRUE(users.ok());
    EXPECT_TRUE(users->verify("ann", "secret")) << name;
  }
}

TEST(Htpasswd, AnEmptyFileKnowsNobody) {
  const auto users = Htpasswd::parse("");
  ASSERT_TRUE(users.ok());
  EXPECT_EQ(users->size(), 0U);
  EXPECT_FALSE(users->verify("ann", "secret"));
}

TEST(Htpasswd, SaysWhichLineIsWrongButNotWhatIsInIt) {
  const std::string good = "$2y$" + kTail;
  const std::pair<std::string, std::string> cases[] = {
      {"ann", "line 1: there is no colon"},
      {"# x\n\nann:plain", "line 3: the password is not hashed with bcrypt"},
      {"ann:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=", "line 1: the password is not hashed with bcrypt"},
      {"ann:$apr1$r31.....$HqJZimcKQFAMYayBlzkrA/", "not hashed with bcrypt"},
      {"ann:$2x$" + kTail, "not hashed with bcrypt"},
      {"ann:$2y$" + kTail + "x", "line 1: the bcrypt hash is damaged"},
      {"ann:$2y$" + kTail.substr(1), "damaged"},
      {"ann:$2y$05$", "damaged"},
      {"ann:$2y$05", "damaged"},
      {"ann:$2y$" + kTail.substr(0, 52) + "!K", "damaged"},
      {"ann:$2y$03" + kTail.substr(2), "cost 3: must be 4 to 16"},
      {"ann:$2y$31" + kTail.substr(2), "cost 31: must be 4 to 16"},
      {":" + good, "there is no user name"},
      {"*:" + good, "meaning of its own"},
      {"anonymous:" + good, "meaning of its own"},
      {std::string(256, 'u') + ":" + good, "too long"},
      {"ann:" + good + "\nbob:" + good + "\nann:" + good, "user ann is there twice"},
  };
  for (const auto& [text, message] : cases) {
    const auto users = Htpasswd::parse(text);
    ASSERT_FALSE(users.ok()) << text;
    EXPECT_NE(users.error().message().find(message), std::string::npos) << users.error().message();
    EXPECT_EQ(users.error().message().find("RoVaRIo"), std::string::npos);
    EXPECT_EQ(users.error().message().find("plain"), std::string::npos);
  }
}

TEST(Htpasswd, HasALimit) {
  std::string text;
  for (int i = 0; i <= 100'000; ++i) text += "u" + std::to_string(i) + ":$2y$" + kTail + "\n";
  const auto users = Htpasswd::parse(text);
  ASSERT_FALSE(users.ok());
  EXPECT_EQ(users.error().message(), "line 100001: more than 100000 users");
}

TEST(HashPassword, RefusesWhatBcryptWouldCut) {
  EXPECT_TRUE(hash_password(std::string(72, 'x'), 4).ok());
  EXPECT_FALSE(hash_password(std::string(73, 'x'), 4).ok());
  EXPECT_FALSE(hash_password("", 4).ok());
  EXPECT_FALSE(hash_password(std::string("a\0b", 3), 4).ok());
  EXPECT_FALSE(hash_password("secret", 3).ok());
  EXPECT_FALSE(hash_password("secret", 17).ok());
  EXPECT_NE(*hash_password("secret", 4), *hash_password("secret", 4));
}

}  // namespace
}  // namespace shoal::auth
