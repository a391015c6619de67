// The piece map on its way between nodes: the log that is followed, and the frames it travels in.
#include <gtest/gtest.h>

#include "map_feed.h"
#include "map_frames.h"
#include "map_source.h"
#include "support/fake_loop.h"

namespace shoal::p2p {
namespace {

const std::string kNonce(32, '1');

std::unique_ptr<Seal> seal_of(const std::string& secret) { return std::move(*Seal::make(secret)); }

MapEntry entry(std::uint32_t piece) {
  MapEntry entry;
  entry.piece = piece;
  entry.hash.fill(static_cast<std::uint8_t>(piece + 1));
  return entry;
}

struct Heard final : FrameReader::Taker {
  void on_entries(const std::vector<MapEntry>& list) override {
    entries.insert(entries.end(), list.begin(), list.end());
  }
  void on_place(MapPlace place) override { places.push_back(std::move(place)); }
  std::vector<MapEntry> entries;
  std::vector<MapPlace> places;
};

MapPlace place(std::uint32_t rank, std::uint32_t of, std::vector<PeerAddress> peers = {}) {
  MapPlace place;
  place.rank = rank;
  place.of = of;
  place.peers = std::move(peers);
  return place;
}

class MapFrames : public ::testing::Test {
 protected:
  const std::unique_ptr<Seal> seal_ = seal_of("the secret of this site");
  Heard heard_;
  FrameWriter writer_{*seal_, kNonce};
  FrameReader reader_{*seal_, kNonce, 100, heard_};
};

TEST_F(MapFrames, ArriveWhateverTheyAreCutInto) {
  const PeerAddress peer{std::string(32, 'a'), "10.0.0.7", 6881};
  std::string stream = writer_.place(place(1, 3, {peer}));
  stream += writer_.entries({entry(0), entry(99)});
  stream += writer_.keep_alive();
  stream += writer_.entries({entry(5)});
  auto later = place(1, 4);
  later.direct = false;
  later.spreads = true;
  stream += writer_.place(later);
  for (const char byte : stream) {
    const auto taken = reader_.take({&byte, 1});
    ASSERT_TRUE(taken.ok()) << taken.error().message();
  }
  EXPECT_EQ(heard_.entries, (std::vector<MapEntry>{entry(0), entry(99), entry(5)}));
  ASSERT_EQ(heard_.places.size(), 2U);
  EXPECT_EQ(heard_.places[0].rank, 1U);
  EXPECT_EQ(heard_.places[0].of, 3U);
  EXPECT_EQ(heard_.places[0].peers, std::vector<PeerAddress>{peer});
  EXPECT_TRUE(heard_.places[0].direct);
  EXPECT_FALSE(heard_.places[0].spreads);
  EXPECT_EQ(heard_.places[1].of, 4U);
  EXPECT_FALSE(heard_.places[1].direct);
  EXPECT_TRUE(heard_.places[1].spreads);
}

TEST_F(MapFrames, AnAuthorOfAnOlderVersionIsCalledAndDoesNotHoldBack) {
  const std::string text = R"({"rank":1,"of":3})";
  std::string frame{'S', 0, 0, 0, static_cast<char>(text.size())};
  frame += text + seal_->answer(kNonce, 1, "map\nS" + text);
  ASSERT_TRUE(reader_.take(frame).ok());
  ASSERT_EQ(heard_.places.size(), 1U);
  EXPECT_TRUE(heard_.places[0].direct);
  EXPECT_FALSE(heard_.places[0].spreads);
}

TEST_F(MapFrames, AChangedByteIsNoticedBeforeAnythingIsBelieved) {
  const auto good = writer_.entries({entry(1)});
  for (std::size_t at = 0; at < good.size(); ++at) {
    if (at >= 1 && at < 5) continue;  // the length: more bytes are waited for, or there are too many
    Heard heard;
    FrameReader reader(*seal_, kNonce, 100, heard);
    auto bad = good;
    bad[at] = static_cast<char>(bad[at] ^ 1);
    EXPECT_FALSE(reader.take(bad).ok()) << at;
    EXPECT_TRUE(heard.entries.empty()) << at;
  }
}

TEST_F(MapFrames, OneThatIsDroppedRepeatedOrOfAnotherAnswerIsNoticed) {
  const auto first = writer_.entries({entry(1)}), second = writer_.entries({entry(2)});
  {
    FrameReader reader(*seal_, kNonce, 100, heard_);
    EXPECT_EQ(reader.take(second).error().kind(), base::ErrorKind::denied);
  }
  {
    FrameReader reader(*seal_, kNonce, 100, heard_);
    EXPECT_TRUE(reader.take(first).ok());
    EXPECT_EQ(reader.take(first).error().kind(), base::ErrorKind::denied);
  }
  FrameReader reader(*seal_, std::string(32, '2'), 100, heard_);
  EXPECT_EQ(reader.take(first).error().kind(), base::ErrorKind::denied);
  const auto stranger = seal_of("the secret of another site");
  FrameWriter writer(*stranger, kNonce);
  EXPECT_EQ(reader_.take(writer.entries({entry(1)})).error().kind(), base::ErrorKind::denied);
}

TEST_F(MapFrames, LimitsHold) {
  EXPECT_EQ(reader_.take(writer_.entries({entry(100)})).error().kind(), base::ErrorKind::invalid);  // pieces: 0 to 99
  EXPECT_TRUE(heard_.entries.empty());
  FrameReader large(*seal_, kNonce, 100, heard_);
  EXPECT_EQ(large.take(std::string("E\x00\x10\x00\x00", 5)).error().kind(), base::ErrorKind::invalid);  // 1 MiB
  FrameWriter writer(*seal_, kNonce);
  std::vector<PeerAddress> many(kMaxMapPeers + 1, {std::string(32, 'a'), "10.0.0.7", 1});
  FrameReader peers(*seal_, kNonce, 100, heard_);
  EXPECT_FALSE(peers.take(writer.place(place(0, 1, many))).ok());
}

TEST_F(MapFrames, AnAuthorNamesSoManyPeersAndNoMore) {
  const std::vector<PeerAddress> some(kMaxMapPeers, {std::string(32, 'a'), "10.0.0.7", 1});
  for (std::size_t told = 0; told < kMaxToldPeers; told += kMaxMapPeers)
    ASSERT_TRUE(reader_.take(writer_.place(place(0, 1, some))).ok());
  EXPECT_FALSE(reader_.take(writer_.place(place(0, 1, {some.front()}))).ok());
}

TEST_F(MapFrames, PeersThatAreNoneAreRefused) {
  for (const PeerAddress& peer :
       {PeerAddress{"short", "10.0.0.7", 1}, PeerAddress{std::string(32, 'A'), "10.0.0.7", 1},
        PeerAddress{std::string(32, 'a'), "node.lan", 1}, PeerAddress{std::string(32, 'a'), "10.0.0.0/8", 1},
        PeerAddress{std::string(32, 'a'), "10.0.0.7", 0}}) {
    FrameWriter writer(*seal_, kNonce);
    FrameReader reader(*seal_, kNonce, 100, heard_);
    EXPECT_FALSE(reader.take(writer.place(place(0, 1, {peer}))).ok()) << peer.id << ' ' << peer.ip;
  }
  EXPECT_TRUE(heard_.places.empty());
}

std::string drain(MapSource& source) {
  std::string all;
  for (;;) {
    auto pulled = source.pull(1'000);
    const auto* piece = std::get_if<base::MemorySlice>(&pulled);
    if (piece == nullptr) return all;
    all += piece->bytes;
  }
}

class MapSourceTest : public MapFrames {
 protected:
  MapAnswer answer() {
    return {6881, 7, place(0, 1), feed_, std::shared_ptr<void>(this, [this](void*) { ++let_go_; })};
  }
  test::FakeClock clock_;
  test::FakeLoop loop_{clock_};
  std::shared_ptr<MapFeed> feed_ = std::make_shared<MapFeed>();
  int let_go_ = 0;
};

TEST_F(MapSourceTest, TellsWhatIsKnownThenWhatBecomesKnown) {
  feed_->set_places(1, {});
  feed_->push({entry(0), entry(1)});
  MapSource source(answer(), *seal_, kNonce, loop_);
  ASSERT_TRUE(reader_.take(drain(source)).ok());
  EXPECT_EQ(heard_.entries.size(), 2U);
  ASSERT_EQ(heard_.places.size(), 1U);
  int ready = 0;
  source.on_ready([&ready] { ++ready; });
  feed_->push(entry(2));
  loop_.run_all();
  EXPECT_EQ(ready, 1);
  ASSERT_TRUE(reader_.take(drain(source)).ok());
  EXPECT_EQ(heard_.entries.back(), entry(2));
  source.on_ready([&ready] { ++ready; });
  feed_->set_places(5, {});
  loop_.run_all();
  ASSERT_TRUE(reader_.take(drain(source)).ok());
  EXPECT_EQ(heard_.places.back().of, 5U);
  source.on_ready([&ready] { ++ready; });
  feed_->set_spreads(true);
  loop_.run_all();
  ASSERT_TRUE(reader_.take(drain(source)).ok());
  EXPECT_EQ(heard_.places.size(), 3U);
  EXPECT_TRUE(heard_.places.back().spreads);
}

TEST_F(MapSourceTest, WhoseRankIsGivenAnewHasItFromThenOnAndNobodyElse) {
  feed_->set_places(3, {});
  auto second = answer();
  second.place = place(1, 3, {{std::string(32, 'a'), "10.0.0.7", 6881}});
  feed_->set_places(2, {{7, 0}, {8, 1}});  // before it is read first
  MapSource source(std::move(second), *seal_, kNonce, loop_);
  ASSERT_TRUE(reader_.take(drain(source)).ok());
  ASSERT_EQ(heard_.places.size(), 1U);
  EXPECT_EQ(heard_.places.back().rank, 0U);
  EXPECT_EQ(heard_.places.back().of, 2U);
  EXPECT_EQ(heard_.places.back().peers.size(), 1U);
  source.on_ready([] {});
  feed_->set_places(2, {{7, 1}, {8, 0}});
  loop_.run_all();
  ASSERT_TRUE(reader_.take(drain(source)).ok());
  ASSERT_EQ(heard_.places.size(), 2U);
  EXPECT_EQ(heard_.places.back().rank, 1U);
  EXPECT_TRUE(heard_.places.back().peers.empty());
  source.on_ready([] {});
  feed_->set_places(2, {{7, 1}});
  loop_.run_all();
  ASSERT_TRUE(reader_.take(drain(source)).ok());
  EXPECT_EQ(heard_.places.size(), 2U);
}

TEST_F(MapSourceTest, GathersEntriesWhereManyFollow) {
  feed_->set_followers(2'000);
  feed_->push(entry(0));
  MapSource source(answer(), *seal_, kNonce, loop_);
  ASSERT_TRUE(reader_.take(drain(source)).ok());
  int ready = 0;
  source.on_ready([&ready] { ++ready; });
  feed_->push(entry(1));
  loop_.run_all();
  loop_.advance(std::chrono::milliseconds(60));
  feed_->push(entry(2));
  loop_.run_all();
  EXPECT_EQ(ready, 0) << "2,000 times 50 us are not over";
  loop_.advance(std::chrono::milliseconds(40));
  EXPECT_EQ(ready, 1);
  const auto frame = drain(source);
  ASSERT_TRUE(reader_.take(frame).ok());
  EXPECT_EQ(heard_.entries.size(), 3U);
  EXPECT_LT(frame.size(), 2 * 36 + 80U) << "one frame";
}

TEST_F(MapSourceTest, OfAHugeSiteGatherNoLongerThanAFifthOfASecond) {
  using std::chrono::microseconds;
  EXPECT_EQ(gather_time(0), microseconds(0));
  EXPECT_EQ(gather_time(16), microseconds(800));
  EXPECT_EQ(gather_time(2'600), microseconds(130'000));
  EXPECT_EQ(gather_time(20'000), microseconds(200'000));
}

TEST_F(MapSourceTest, IsHeardOfWhileThereIsNothingToSayAndEndsWithTheMap) {
  {
    MapSource source(answer(), *seal_, kNonce, loop_);
    ASSERT_TRUE(reader_.take(drain(source)).ok());
    int ready = 0;
    source.on_ready([&ready] { ++ready; });
    loop_.advance(kKeepAlive);
    EXPECT_EQ(ready, 1);
    const auto frame = drain(source);
    EXPECT_EQ(frame.front(), 'K');
    ASSERT_TRUE(reader_.take(frame).ok());
    source.on_ready([&ready] { ++ready; });
    feed_->push(entry(7));
    feed_->end();
    loop_.run_all();
    EXPECT_EQ(ready, 2);
    ASSERT_TRUE(reader_.take(drain(source)).ok());
    EXPECT_EQ(heard_.entries.back(), entry(7)) << "what was known before the end is told";
    EXPECT_EQ(let_go_, 0);
  }
  EXPECT_EQ(let_go_, 1);
}

TEST(Network, AnAddressWithAZeroByteIsNone) {
  EXPECT_TRUE(Network::parse("10.0.0.1").ok());
  EXPECT_FALSE(Network::parse(std::string_view("10.0.0.1\0x", 10)).ok());
  EXPECT_FALSE(Network::parse("10.0.0.0/8")->contains(std::string_view("10.0.0.1\0x", 10)));
}

}  // namespace
}  // namespace shoal::p2p
