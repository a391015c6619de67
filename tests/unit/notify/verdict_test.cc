#include "verdict.h"

#include <gtest/gtest.h>

namespace shoal::notify {
namespace {

using namespace std::chrono_literals;

TEST(Verdicts, ByStatus) {
  for (const int status : {200, 201, 202, 204, 299}) EXPECT_EQ(judge(status), Verdict::delivered) << status;
  for (const int status : {408, 425, 429, 502, 503, 504}) EXPECT_EQ(judge(status), Verdict::later) << status;
  for (const int status : {400, 413, 415, 422}) EXPECT_EQ(judge(status), Verdict::never) << status;
  for (const int status : {301, 307, 401, 403, 404, 405, 410, 500, 501}) {
    EXPECT_EQ(judge(status), Verdict::refused) << status;
  }
}

TEST(Delays, DoubleUpToTheMost) {
  EndpointOptions options;
  options.backoff = 1s;
  options.max_backoff = 10s;
  constexpr std::uint32_t kMiddle = 250;  // exactly the delay
  EXPECT_EQ(next_delay(options, 1, {}, kMiddle), 1s);
  EXPECT_EQ(next_delay(options, 2, {}, kMiddle), 2s);
  EXPECT_EQ(next_delay(options, 4, {}, kMiddle), 8s);
  EXPECT_EQ(next_delay(options, 5, {}, kMiddle), 10s);
  EXPECT_EQ(next_delay(options, 4'000'000'000U, {}, kMiddle), 10s);
}

TEST(Delays, JitterIsAQuarterEitherWay) {
  EndpointOptions options;
  options.backoff = 1s;
  auto least = 10'000ms, most = 0ms;
  for (std::uint32_t random = 0; random < 2000; ++random) {
    const auto delay = next_delay(options, 1, {}, random);
    least = std::min(least, delay);
    most = std::max(most, delay);
  }
  EXPECT_EQ(least, 750ms);
  EXPECT_EQ(most, 1250ms);
}

TEST(Delays, RetryAfterIsHonouredUpToAnHour) {
  EndpointOptions options;
  options.backoff = 2s;
  EXPECT_EQ(next_delay(options, 1, 30s, 250), 30s);
  EXPECT_EQ(next_delay(options, 1, 1s, 250), 2s) << "never sooner than the back-off";
  EXPECT_EQ(next_delay(options, 1, 864000s, 250), 1h);
}

}  // namespace
}  // namespace shoal::notify
