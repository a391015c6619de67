#include <gtest/gtest.h>

#include <algorithm>
#include <thread>

#include "shoal/auth/auth.h"
#include "support/fake_loop.h"
#include "support/queue_loop.h"

namespace shoal::auth {
namespace {

using namespace std::chrono_literals;

const char* const kAnn = "Basic YW5uOnNlY3JldA==";      // ann:secret
const char* const kAnnNew = "Basic YW5uOmNoYW5nZWQ=";   // ann:changed
const char* const kAnnWrong = "Basic YW5uOndyb25n";     // ann:wrong
const char* const kUnknown = "Basic ZXZlOnNlY3JldA==";  // eve:secret

std::shared_ptr<const Htpasswd> ann_with(const std::string& password) {
  return std::make_shared<const Htpasswd>(*Htpasswd::parse("ann:" + *hash_password(password, 4)));
}

struct AuthenticatorTest : testing::Test {
  test::FakeClock clock;
  test::FakeLoop loop{clock};
  test::FakeExecutor pool;
  std::unique_ptr<Authenticator> authenticator;
  std::vector<std::string> answers;

  void make(AuthenticatorOptions options = {}) {
    authenticator = std::make_unique<Authenticator>(pool, clock, options);
    authenticator->set_users(ann_with("secret"));
  }
  static std::string basic(const std::string& pair) {
    constexpr std::string_view kLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string out = "Basic ";
    unsigned bits = 0;
    int held = 0;
    for (const char c : pair) {
      bits = bits << 8 | static_cast<unsigned char>(c);
      for (held += 8; held >= 6; held -= 6) out += kLetters[bits >> (held - 6) & 63];
      bits &= (1U << held) - 1;
    }
    if (held > 0) out += kLetters[bits << (6 - held) & 63];
    return out;
  }
  // Of different passwords, none of them right.
  void guess(int from, int to, const std::string& ip) {
    for (int i = from; i < to; ++i) ask(basic("ann:guess" + std::to_string(i)), ip);
  }
  void run() {
    pool.run_all();
    loop.run_all();
  }
  void ask(std::string header, const std::string& ip = "10.0.0.1") {
    authenticator->authenticate(std::move(header), ip, loop, [this](base::Result<Identity> result) {
      answers.push_back(result ? "is '" + result->user + "'" : std::string(to_string(result.error().kind())));
    });
  }
  std::string answer_to(std::string header, const std::string& ip = "10.0.0.1") {
    answers.clear();
    ask(std::move(header), ip);
    EXPECT_TRUE(answers.empty());  // never inside the call
    pool.run_all();
    loop.run_all();
    EXPECT_EQ(answers.size(), 1U);
    return answers.empty() ? "" : answers.front();
  }
};

TEST_F(AuthenticatorTest, NoCredentialsAreAnonymousAtOnce) {
  make();
  for (const char* header : {"", "Basic Og=="}) {
    const auto who = authenticator->try_authenticate(header);
    ASSERT_TRUE(who);
    EXPECT_TRUE(who->anonymous());
    EXPECT_EQ(answer_to(header), "is ''");
  }
  EXPECT_FALSE(pool.run_one());
}

TEST_F(AuthenticatorTest, APasswordIsCheckedOnceAndRememberedForAWhile) {
  make({.remember = 300s});
  EXPECT_FALSE(authenticator->try_authenticate(kAnn));
  EXPECT_EQ(answer_to(kAnn), "is 'ann'");
  const auto who = authenticator->try_authenticate(kAnn);
  ASSERT_TRUE(who);
  EXPECT_EQ(who->user, "ann");
  clock.advance(299s);
  EXPECT_TRUE(authenticator->try_authenticate(kAnn));
  EXPECT_FALSE(authenticator->try_authenticate(kAnnWrong));
  clock.advance(1s);
  EXPECT_FALSE(authenticator->try_authenticate(kAnn));
  EXPECT_EQ(answer_to(kAnn), "is 'ann'");
  EXPECT_TRUE(authenticator->try_authenticate(kAnn));
}

TEST_F(AuthenticatorTest, AWrongPasswordIsDeniedEachTime) {
  make({.remember_failures = 0s});
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(answer_to(kAnnWrong), "denied");
    EXPECT_EQ(answer_to(kUnknown), "denied");
    EXPECT_FALSE(authenticator->try_authenticate(kAnnWrong));
    EXPECT_FALSE(authenticator->try_authenticate(kUnknown));
  }
}

TEST_F(AuthenticatorTest, OtherSchemesAndBrokenHeadersAreInvalid) {
  make();
  for (const char* header : {"Bearer abc", "Basic", "Basic !!", "Negotiate x"}) {
    EXPECT_FALSE(authenticator->try_authenticate(header));
    EXPECT_EQ(answer_to(header), "invalid");
  }
}

TEST_F(AuthenticatorTest, ANewPasswordCountsAtOnce) {
  make();
  EXPECT_EQ(answer_to(kAnn), "is 'ann'");
  authenticator->set_users(ann_with("changed"));
  EXPECT_FALSE(authenticator->try_authenticate(kAnn));
  EXPECT_EQ(answer_to(kAnn), "denied");
  EXPECT_EQ(answer_to(kAnnNew), "is 'ann'");
}

TEST_F(AuthenticatorTest, ACheckThatWaitsSeesTheUsersOfThen) {
  make();
  ask(kAnn);
  authenticator->set_users(ann_with("changed"));
  pool.run_all();
  loop.run_all();
  EXPECT_EQ(answers, std::vector<std::string>{"denied"});
}

TEST_F(AuthenticatorTest, WithoutUsersNobodyGetsIn) {
  make();
  authenticator->set_users(nullptr);
  EXPECT_EQ(answer_to(kAnn), "denied");
}

TEST_F(AuthenticatorTest, ManyWhoAskWithTheSameCredentialsWaitForOneCheck) {
  make({.max_running = 1});
  for (int i = 0; i < 50; ++i) ask(kAnn);
  ASSERT_TRUE(pool.run_one());
  EXPECT_FALSE(pool.run_one());
  loop.run_all();
  EXPECT_EQ(answers, std::vector<std::string>(50, "is 'ann'"));
}

TEST_F(AuthenticatorTest, AFloodOfWrongPasswordsIsBounded) {
  make({.max_waiting = 3, .max_running = 2});
  const char* const headers[] = {"Basic YTox", "Basic YToy", "Basic YToz", "Basic YTo0", "Basic YTo1"};  // a:1 to a:5
  for (const char* header : headers) ask(header);
  loop.run_all();
  EXPECT_EQ(answers, (std::vector<std::string>{"busy", "busy"}));
  ASSERT_TRUE(pool.run_one());  // two at once; each that ends makes room for the next
  ASSERT_TRUE(pool.run_one());
  ASSERT_TRUE(pool.run_one());
  EXPECT_FALSE(pool.run_one());
  loop.run_all();
  EXPECT_EQ(answers, (std::vector<std::string>{"busy", "busy", "denied", "denied", "denied"}));
  EXPECT_EQ(answer_to(kAnn), "is 'ann'");
}

TEST_F(AuthenticatorTest, RememberedCredentialsPassWhileChecksWait) {
  make({.max_waiting = 1});
  EXPECT_EQ(answer_to(kAnn), "is 'ann'");
  ask(kAnnWrong);
  EXPECT_TRUE(authenticator->try_authenticate(kAnn));
}

TEST_F(AuthenticatorTest, RemembersOnlySoMany) {
  make({.max_remembered = 2});
  std::string file;
  for (const char* user : {"a", "b", "c"}) file += std::string(user) + ":" + *hash_password("1", 4) + "\n";
  authenticator->set_users(std::make_shared<const Htpasswd>(*Htpasswd::parse(file)));
  for (const char* header : {"Basic YTox", "Basic Yjox", "Basic Yzox"}) EXPECT_NE(answer_to(header), "denied");
  EXPECT_FALSE(authenticator->try_authenticate("Basic YTox"));  // the oldest went
  EXPECT_TRUE(authenticator->try_authenticate("Basic Yjox"));
  EXPECT_TRUE(authenticator->try_authenticate("Basic Yzox"));
}

TEST_F(AuthenticatorTest, TheSameWrongPasswordIsCheckedOnceForAWhile) {
  make({.remember_failures = 60s, .max_failures_per_minute = 2});
  EXPECT_EQ(answer_to(kAnnWrong), "denied");
  for (int i = 0; i < 100; ++i) {
    answers.clear();
    ask(kAnnWrong);
    loop.run_all();
    EXPECT_EQ(answers, std::vector<std::string>{"denied"}) << "without the pool";
  }
  EXPECT_EQ(answer_to(kAnn), "is 'ann'") << "and it counts once: the source may go on";
  clock.advance(60s);
  ask(kAnnWrong);
  EXPECT_TRUE(pool.run_one()) << "forgotten";
}

TEST_F(AuthenticatorTest, AWrongPasswordThatBecomesRightCountsAtOnce) {
  make();
  EXPECT_EQ(answer_to(kAnnNew), "denied");
  authenticator->set_users(ann_with("changed"));
  EXPECT_EQ(answer_to(kAnnNew), "is 'ann'");
}

TEST_F(AuthenticatorTest, OneWhoGuessesMakesOnlyItselfWait) {
  make({.max_waiting = 256, .max_waiting_per_source = 32, .max_failures_per_minute = 0, .max_running = 1});
  guess(0, 300, "10.6.6.6");
  loop.run_all();
  EXPECT_EQ(answers, std::vector<std::string>(300 - 33, "full")) << "one runs, 32 wait";
  answers.clear();
  ask(kAnn, "10.0.0.1");
  ASSERT_TRUE(pool.run_one());  // the one that ran
  ASSERT_TRUE(pool.run_one());  // the first of the guesser's line, or ann
  ASSERT_TRUE(pool.run_one());
  loop.run_all();
  EXPECT_EQ(std::count(answers.begin(), answers.end(), "is 'ann'"), 1) << "after two guesses, not after 33";
}

TEST_F(AuthenticatorTest, AQueueFullOfOneSourceMakesRoomForAnother) {
  make({.max_waiting = 8, .max_waiting_per_source = 100, .max_failures_per_minute = 0, .max_running = 1});
  guess(0, 8, "10.6.6.6");
  ask(kAnn, "10.0.0.1");
  loop.run_all();
  EXPECT_EQ(answers, std::vector<std::string>{"busy"}) << "the newest guess was pushed out";
  run();
  EXPECT_EQ(std::count(answers.begin(), answers.end(), "is 'ann'"), 1);
  EXPECT_EQ(std::count(answers.begin(), answers.end(), "denied"), 7);
}

TEST_F(AuthenticatorTest, ASourceThatFailsOftenHasToWait) {
  make({.max_failures_per_minute = 30});
  for (int i = 0; i < 30; ++i) EXPECT_EQ(answer_to(basic("ann:guess" + std::to_string(i)), "10.6.6.6"), "denied");
  EXPECT_EQ(answer_to(kAnn, "10.6.6.6"), "full");
  EXPECT_EQ(answer_to(kAnn, "::ffff:10.6.6.6"), "full") << "the same machine";
  EXPECT_EQ(answer_to(kAnnNew, "10.0.0.1"), "denied") << "others are looked at";
  clock.advance(1s);
  EXPECT_EQ(answer_to(kAnn, "10.6.6.6"), "full");
  clock.advance(1s);
  EXPECT_EQ(answer_to(kAnn, "10.6.6.6"), "is 'ann'");
}

TEST_F(AuthenticatorTest, WhatWasGoodNotLongAgoPassesByGuessersOfItsOwnAddress) {
  make(
      {.remember = 60s, .max_waiting = 4, .max_waiting_per_source = 4, .max_failures_per_minute = 5, .max_running = 1});
  EXPECT_EQ(answer_to(kAnn, "10.6.6.6"), "is 'ann'");
  clock.advance(61s);
  EXPECT_FALSE(authenticator->try_authenticate(kAnn));
  for (int i = 0; i < 10; ++i) {
    guess(i * 10, i * 10 + 10, "10.6.6.6");
    run();
  }
  EXPECT_EQ(answer_to(kUnknown, "10.6.6.6"), "full");
  EXPECT_EQ(answer_to(kAnn, "10.6.6.6"), "is 'ann'");
  authenticator->set_users(ann_with("changed"));
  EXPECT_EQ(answer_to(kAnn, "10.6.6.6"), "denied") << "no identity comes of it";
  authenticator->set_users(ann_with("secret"));
  EXPECT_EQ(answer_to(kAnn, "10.6.6.6"), "full") << "nor a place in front any more";
}

TEST_F(AuthenticatorTest, LimitsMayChange) {
  make({.max_failures_per_minute = 1});
  EXPECT_EQ(answer_to(kAnnWrong), "denied");
  EXPECT_EQ(answer_to(kAnn), "full");
  authenticator->set_options({.max_failures_per_minute = 0});
  EXPECT_EQ(answer_to(kAnn), "is 'ann'");
  authenticator->set_options({.remember = 0s});
  EXPECT_FALSE(authenticator->try_authenticate(kAnn));
}

TEST_F(AuthenticatorTest, AfterItsEndNobodyIsCalled) {
  make({.max_running = 1});
  ask(kAnn);
  ask(kAnnWrong);
  authenticator.reset();
  pool.run_all();
  loop.run_all();
  EXPECT_TRUE(answers.empty());
}

TEST(AuthenticatorThreads, LoginsAndReloadsAtOnceAgree) {
  test::FakeClock clock;
  test::TestPool pool(3);
  test::QueueLoop loop;
  Authenticator authenticator(pool, clock, {.max_waiting = 1000, .max_waiting_per_source = 1000, .max_running = 3});
  authenticator.set_users(ann_with("secret"));
  int good = 0, bad = 0;
  std::thread reloads([&] {
    for (int i = 0; i < 20; ++i) authenticator.set_users(ann_with("secret"));
  });
  for (int i = 0; i < 200; ++i) {
    const auto who = authenticator.try_authenticate(kAnn);
    EXPECT_TRUE(!who || who->user == "ann");
    authenticator.authenticate(i % 4 == 0 ? kAnnWrong : kAnn, "10.0.0.1", loop,
                               [&](base::Result<Identity> result) { ++(result ? good : bad); });
    loop.run_one();
  }
  EXPECT_TRUE(loop.run_until([&] { return good + bad == 200; }));
  reloads.join();
  EXPECT_EQ(good, 150);
  EXPECT_EQ(bad, 50);
}

}  // namespace
}  // namespace shoal::auth
