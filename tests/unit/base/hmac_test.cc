#include <gtest/gtest.h>

#include <set>
#include <thread>
#include <vector>

#include "shoal/base/digest.h"
#include "shoal/base/random.h"

namespace shoal::base {
namespace {

struct Row {
  std::string key, data, mac;
};

TEST(Hmac, Rfc4231Vectors) {
  const std::vector<Row> rows = {
      {std::string(20, '\x0b'), "Hi There", "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"},
      {"Jefe", "what do ya want for nothing?", "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
      {std::string(20, '\xaa'), std::string(50, '\xdd'),
       "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"},
      {std::string(131, '\xaa'), "Test Using Larger Than Block-Size Key - Hash Key First",
       "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"},
      {"", "", "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad"},
  };
  for (const auto& row : rows) {
    EXPECT_EQ(to_hex(hmac_sha256(row.key, row.data)), row.mac);
    const HmacKey key(row.key);
    const auto middle = row.data.size() / 2;
    EXPECT_EQ(to_hex(key.sign({row.data.substr(0, middle), "", row.data.substr(middle)})), row.mac) << "in parts";
    EXPECT_EQ(to_hex(key.sign({row.data})), row.mac) << "a second time";
  }
}

TEST(Hmac, OneKeyServesSeveralThreads) {
  const HmacKey key("a key that is shared");
  const auto expected = key.sign({"message"});
  std::vector<std::thread> threads;
  std::vector<int> right(4);
  for (int& count : right) {
    threads.emplace_back([&key, &expected, &count] {
      for (int i = 0; i < 500; ++i) count += key.sign({"mess", "age"}) == expected ? 1 : 0;
    });
  }
  for (auto& thread : threads) thread.join();
  for (const int count : right) EXPECT_EQ(count, 500);
}

TEST(Secrets, CompareByContentAndLength) {
  EXPECT_TRUE(equal_secrets("", ""));
  EXPECT_TRUE(equal_secrets("abc", std::string("abc")));
  EXPECT_FALSE(equal_secrets("abc", "abd"));
  EXPECT_FALSE(equal_secrets("abc", "xbc"));
  EXPECT_FALSE(equal_secrets("abc", "ab"));
  EXPECT_FALSE(equal_secrets("", "a"));
}

TEST(Random, HexIsOfTheLengthAskedForAndNeverTheSame) {
  EXPECT_EQ(random_hex(0), "");
  std::set<std::string> seen;
  for (int i = 0; i < 1000; ++i) {
    const auto text = random_hex(16);
    EXPECT_EQ(text.size(), 32u);
    EXPECT_EQ(text.find_first_not_of("0123456789abcdef"), std::string::npos);
    seen.insert(text);
  }
  EXPECT_EQ(seen.size(), 1000u);
}

}  // namespace
}  // namespace shoal::base
