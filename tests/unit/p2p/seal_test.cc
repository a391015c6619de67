#include "seal.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

#include "call_budget.h"
#include "nonce_memory.h"
#include "shoal/base/format.h"

namespace shoal::p2p {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

const std::string kSecret = "0123456789abcdef";
const std::string kNode = "00112233445566778899aabbccddeeff";
const std::string kNonce = "ffeeddccbbaa99887766554433221100";
const base::WallTime kNow{milliseconds(1'700'000'000'123)};
const std::string kBody = R"({"a":1})";
const std::string kGood =
    "v1 " + kNode + " 1700000000123 " + kNonce + " 6cb360bf3d70a40d1083516aa2ac441f3bb3282f314dba19f7b5f0464c49b9d1";

std::unique_ptr<Seal> make(const std::string& secret = kSecret, SealOptions options = {}) {
  auto seal = Seal::make(secret, options);
  EXPECT_TRUE(seal.ok());
  return std::move(*seal);
}

std::string refusal(Seal& seal, std::string_view value, std::string_view method = "POST",
                    std::string_view target = "/p2p/v1/want", std::string_view body = kBody,
                    base::WallTime now = kNow) {
  const auto result = seal.check_request(value, method, target, body, now);
  if (result.ok()) return "accepted";
  EXPECT_EQ(result.error().kind(), base::ErrorKind::denied);
  EXPECT_EQ(result.error().message().find("6cb360bf"), std::string::npos) << "tells what would be right";
  return result.error().message();
}

// Computed apart from this code.
TEST(Seal, MatchesTheDocumentedForm) {
  const auto seal = make();
  const auto caller = seal->check_request(kGood, "POST", "/p2p/v1/want", kBody, kNow);
  ASSERT_TRUE(caller.ok()) << caller.error().message();
  EXPECT_EQ(caller->node, kNode);
  EXPECT_EQ(caller->nonce, kNonce);
  EXPECT_EQ(seal->answer(kNonce, 200, "{}"), "v1 0ac706c0746292fdfe7edb437f798ae11272103863e98f5a758c75e67ddad010");
}

TEST(Seal, TwoWhoKnowTheSecretUnderstandEachOther) {
  const auto here = make();
  const auto there = make();
  const auto sealed = here->request("GET", "/p2p/v1/x?y=z", kNode, "", kNow);
  const auto caller = there->check_request(sealed.value, "GET", "/p2p/v1/x?y=z", "", kNow + seconds(1));
  ASSERT_TRUE(caller.ok()) << caller.error().message();
  EXPECT_EQ(caller->nonce, sealed.nonce);
  EXPECT_TRUE(here->check_answer(there->answer(caller->nonce, 200, "body"), sealed.nonce, 200, "body"));
  EXPECT_NE(here->request("GET", "/", kNode, "", kNow).nonce, sealed.nonce);
}

TEST(Seal, AShortSecretIsRefused) {
  const auto seal = Seal::make(std::string(15, 'x'));
  ASSERT_FALSE(seal.ok());
  EXPECT_EQ(seal.error().kind(), base::ErrorKind::invalid);
  EXPECT_EQ(seal.error().message().find("xxx"), std::string::npos);
}

TEST(Seal, EveryPartOfARequestIsCovered) {
  const auto seal = make();
  const std::string wrong = "the seal is wrong: another secret, or changed on the way";
  EXPECT_EQ(refusal(*make("another secret, long"), kGood), wrong);
  EXPECT_EQ(refusal(*seal, kGood, "GET"), wrong);
  EXPECT_EQ(refusal(*seal, kGood, "POST", "/p2p/v1/wan"), wrong);
  EXPECT_EQ(refusal(*seal, kGood, "POST", "/p2p/v1/want", R"({"a":2})"), wrong);
  EXPECT_EQ(refusal(*seal, kGood, "POST", "/p2p/v1/want", ""), wrong);
  EXPECT_EQ(refusal(*seal, kGood, "POST\nx"), "a line break in the request's method or target");
  EXPECT_EQ(refusal(*seal, kGood, "POST", "/\n"), "a line break in the request's method or target");
  // Any digit of node, time, nonce or hmac.
  for (std::size_t i = 3; i < kGood.size(); ++i) {
    auto changed = kGood;
    if (changed[i] == ' ') continue;
    changed[i] = changed[i] == '0' ? '1' : '0';
    EXPECT_EQ(refusal(*seal, changed), wrong) << i;
  }
  EXPECT_EQ(refusal(*seal, kGood), "accepted");
}

TEST(Seal, RefusesOtherForms) {
  const auto seal = make();
  const std::string form = "the seal is not of the form this version knows";
  EXPECT_EQ(refusal(*seal, ""), "the request carries no seal");
  for (std::size_t i = 1; i < kGood.size(); ++i) EXPECT_EQ(refusal(*seal, kGood.substr(0, i)), form) << i;
  const std::vector<std::string> rows = {
      kGood + "0",
      kGood + " ",
      " " + kGood,
      "v2" + kGood.substr(2),
      "v1  " + kGood.substr(3),
      "v1 " + kNode + " -1 " + kNonce + " " + std::string(64, '0'),
      "v1 " + kNode + " 1234567890123456 " + kNonce + " " + std::string(64, '0'),
      "v1 " + kNode + "  " + kNonce + " " + std::string(64, '0'),
      "v1 " + kNode + " 1 " + kNonce + " " + std::string(64, 'A'),
      "v1 " + std::string(32, 'g') + " 1 " + kNonce + " " + std::string(64, '0'),
      "v1 " + kNode + " 1 " + kNonce.substr(1) + " " + std::string(64, '0'),
      std::string(100'000, ' '),
      std::string(100'000, 'v'),
  };
  for (const auto& row : rows) EXPECT_EQ(refusal(*seal, row), form) << row.substr(0, 200);
}

TEST(Seal, TimesWithinTheWindowAreGood) {
  struct Row {
    milliseconds ahead;
    std::string says;
  };
  const std::vector<Row> rows = {{milliseconds(0), "accepted"},
                                 {milliseconds(120'000), "accepted"},
                                 {milliseconds(-120'000), "accepted"},
                                 {milliseconds(120'001), "the clocks are 120 s apart, at most 120 s are allowed"},
                                 {milliseconds(-300'000), "the clocks are 300 s apart, at most 120 s are allowed"}};
  for (const auto& row : rows)
    EXPECT_EQ(refusal(*make(), kGood, "POST", "/p2p/v1/want", kBody, kNow + row.ahead), row.says);
}

TEST(Seal, ARequestIsGoodOnce) {
  const auto seal = make();
  const auto later = [&](int by) { return refusal(*seal, kGood, "POST", "/p2p/v1/want", kBody, kNow + seconds(by)); };
  EXPECT_EQ(later(-120), "accepted");  // its sender's clock is ahead of ours
  for (const int by : {-119, 0, 60, 120}) EXPECT_EQ(later(by), "the request was seen before") << by;
  EXPECT_EQ(later(121), "the clocks are 121 s apart, at most 120 s are allowed");
}

TEST(Seal, AForgeryDoesNotUseUpTheNonce) {
  const auto seal = make();
  EXPECT_NE(refusal(*seal, kGood.substr(0, kGood.size() - 1) + "0"), "accepted");
  EXPECT_EQ(refusal(*seal, kGood), "accepted");
}

TEST(Seal, EveryPartOfAnAnswerIsCovered) {
  const auto seal = make();
  const auto value = seal->answer(kNonce, 200, "body");
  EXPECT_TRUE(seal->check_answer(value, kNonce, 200, "body"));
  EXPECT_FALSE(seal->check_answer(value, kNonce, 201, "body"));
  EXPECT_FALSE(seal->check_answer(value, kNode, 200, "body"));
  EXPECT_FALSE(seal->check_answer(value, kNonce, 200, "bodx"));
  EXPECT_FALSE(seal->check_answer("", kNonce, 200, "body"));
  EXPECT_FALSE(seal->check_answer(value + "0", kNonce, 200, "body"));
  EXPECT_FALSE(make("another secret, long")->check_answer(value, kNonce, 200, "body"));
}

TEST(Seal, ManyThreadsMayUseOne) {
  const auto seal = make();
  std::vector<std::thread> threads;
  std::vector<int> good(4);
  for (int& count : good) {
    threads.emplace_back([&seal, &count] {
      for (int i = 0; i < 200; ++i) {
        const auto sealed = seal->request("GET", "/", kNode, "", kNow);
        count += seal->check_request(sealed.value, "GET", "/", "", kNow).ok() ? 1 : 0;
        count += seal->check_request(sealed.value, "GET", "/", "", kNow).ok() ? 1000 : 0;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  for (const int count : good) EXPECT_EQ(count, 200);
}

std::string nonce(int n) { return base::format("{:016x}{:016x}", n, 0); }

TEST(CallBudget, OneAddressIsHeldToItWhateverOthersDo) {
  CallBudget budget;
  const base::SteadyTime now{std::chrono::seconds(7)};
  for (std::uint64_t i = 0; i < CallBudget::kEachSecond; ++i) ASSERT_TRUE(budget.take("10.0.0.1", 0, now));
  EXPECT_FALSE(budget.take("10.0.0.1", 0, now));
  EXPECT_TRUE(budget.take("10.0.0.2", 0, now));
  EXPECT_TRUE(budget.take("10.0.0.1", 0, now + std::chrono::seconds(1)));
}

TEST(CallBudget, WhatALargeBodyCostsIsCounted) {
  CallBudget budget;
  const base::SteadyTime now{std::chrono::seconds(7)};
  std::uint64_t calls = 0;
  while (budget.take("10.0.0.1", 512 * 99, now)) ++calls;
  EXPECT_EQ(calls, CallBudget::kEachSecond / 100);
}

TEST(NonceMemory, ForgetsWhatIsOldAndWhatIsTooMuch) {
  NonceMemory memory(seconds(10), 100);
  EXPECT_TRUE(memory.add(nonce(1), kNow));
  EXPECT_FALSE(memory.add(nonce(1), kNow + seconds(10)));
  EXPECT_TRUE(memory.add(nonce(1), kNow + seconds(11)));
  for (int i = 2; i <= 101; ++i) EXPECT_TRUE(memory.add(nonce(i), kNow + seconds(12)));
  EXPECT_EQ(memory.size(), 100u);
  EXPECT_FALSE(memory.add(nonce(2), kNow + seconds(12)));
  EXPECT_TRUE(memory.add(nonce(1), kNow + seconds(12))) << "the oldest went";
  EXPECT_TRUE(memory.add(nonce(500), kNow + seconds(60)));
  EXPECT_EQ(memory.size(), 1u);
}

}  // namespace
}  // namespace shoal::p2p
