#include "record.h"

#include <gtest/gtest.h>

#include "some_events.h"

namespace shoal::notify {
namespace {

obs::Event full_event() {
  auto event = pushed("v1");
  event.from = "other/app";
  event.reason = "why";
  event.took = std::chrono::milliseconds(1234);
  return event;
}

TEST(Record, AnEventComesBackAsItWas) {
  const Queued queued{base::WallTime(std::chrono::seconds(1'800'000'000)), full_event()};
  const auto bytes = encode(queued);
  const auto back = decode_queued(bytes);
  ASSERT_TRUE(back);
  EXPECT_EQ(back->at, queued.at);
  EXPECT_EQ(back->event.at, queued.event.at);
  EXPECT_EQ(back->event.repository, "team/app");
  EXPECT_EQ(back->event.tag, "v1");
  EXPECT_EQ(back->event.from, "other/app");
  EXPECT_EQ(back->event.reason, "why");
  EXPECT_EQ(back->event.took.count(), 1234);
  EXPECT_EQ(back->event.request.user, "ann");
  EXPECT_TRUE(back->event.request.secure);
  EXPECT_EQ(encode(*back), bytes);
}

TEST(Record, ADeadLetterComesBackAsItWas) {
  const Dead dead{base::WallTime(std::chrono::seconds(1'800'000'000)), 8, "the receiver answered 404", evicted()};
  const auto back = decode_dead(encode(dead));
  ASSERT_TRUE(back);
  EXPECT_EQ(back->attempts, 8U);
  EXPECT_EQ(back->reason, dead.reason);
  EXPECT_EQ(back->event.kind, obs::EventKind::evict);
  EXPECT_EQ(back->event.size, 7U);
}

TEST(Record, LongTextsAreCutSoThatEveryEventFits) {
  auto event = pushed();
  event.request.user_agent.assign(100'000, 'x');
  event.repository.assign(100'000, 'y');
  const auto bytes = encode(Queued{{}, event});
  EXPECT_LT(bytes.size(), kMaxPayload);
  const auto back = decode_queued(bytes);
  ASSERT_TRUE(back);
  EXPECT_EQ(back->event.request.user_agent.size(), 1024U);
}

TEST(Record, NothingThatIsCutShortDecodes) {
  const auto queued = encode(Queued{{}, full_event()});
  const auto dead = encode(Dead{{}, 1, "why", full_event()});
  const auto cursor = encode_cursor(42);
  std::string frame;
  append_frame(frame, 7, "payload");
  for (std::size_t n = 0; n < queued.size(); ++n) EXPECT_FALSE(decode_queued(queued.substr(0, n))) << n;
  for (std::size_t n = 0; n < dead.size(); ++n) EXPECT_FALSE(decode_dead(dead.substr(0, n))) << n;
  for (std::size_t n = 0; n < cursor.size(); ++n) EXPECT_FALSE(decode_cursor(cursor.substr(0, n))) << n;
  for (std::size_t n = 0; n < frame.size(); ++n) EXPECT_FALSE(parse_frame(frame.substr(0, n))) << n;
  EXPECT_FALSE(decode_queued(queued + "x"));
  EXPECT_EQ(decode_cursor(cursor), 42U);
}

TEST(Record, EveryFlippedByteOfAFrameIsNoticed) {
  std::string frame;
  append_frame(frame, 7, "payload");
  for (std::size_t i = 0; i < frame.size(); ++i) {
    auto damaged = frame;
    damaged[i] = static_cast<char>(damaged[i] ^ 0x10);
    EXPECT_FALSE(parse_frame(damaged)) << i;
  }
  const auto longer = frame + "more";  // the payload is part of it
  const auto sound = parse_frame(longer);
  ASSERT_TRUE(sound);
  EXPECT_EQ(sound->sequence, 7U);
  EXPECT_EQ(sound->payload, "payload");
  EXPECT_EQ(sound->size(), frame.size());
}

TEST(Record, AVersionOfTheFutureDoesNotDecode) {
  auto bytes = encode(Queued{{}, full_event()});
  bytes[8] = 2;
  EXPECT_FALSE(decode_queued(bytes));
}

}  // namespace
}  // namespace shoal::notify
