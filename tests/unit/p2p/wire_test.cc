#include "wire.h"

#include <gtest/gtest.h>

#include "shoal/base/format.h"

namespace shoal::p2p {
namespace {

using base::digest_of;
using base::ErrorKind;
using std::chrono::milliseconds;

const std::string kId = "00112233445566778899aabbccddeeff";
const std::string kDigest = digest_of("x").to_string();

NodeInfo node(int n, std::string zone = "") {
  return {base::format("{:032x}", n), base::format("http://10.0.0.{}:5000", n), std::move(zone),
          static_cast<std::uint16_t>(n)};
}
std::string node_json() { return base::format(R"({{"id":"{}","url":"http://h:1","zone":"z","port":7}})", kId); }

TEST(Wire, WantSurvivesTheWire) {
  for (const auto algorithm : {base::HashAlgorithm::sha256, base::HashAlgorithm::sha512}) {
    WantCall call{node(1, "rack-1.a_b"), {digest_of("x", algorithm), 1234, {node(2).id, node(3).id}}};
    const auto back = parse_want(to_json(call));
    ASSERT_TRUE(back.ok()) << back.error().message();
    EXPECT_EQ(back->node, call.node);
    EXPECT_EQ(back->want.digest, call.want.digest);
    EXPECT_EQ(back->want.size, 1234u);
    EXPECT_EQ(back->want.avoid, call.want.avoid);
  }
  const auto bare = parse_want(to_json(WantCall{node(1), {digest_of("x"), std::nullopt, {}}}));
  ASSERT_TRUE(bare.ok());
  EXPECT_FALSE(bare->want.size.has_value());
  EXPECT_TRUE(bare->want.avoid.empty());
}

TEST(Wire, AdviceSurvivesTheWire) {
  const auto fetch = parse_advice(to_json(Advice(Fetch{milliseconds(3000), {node(4)}})));
  ASSERT_TRUE(fetch.ok());
  EXPECT_EQ(std::get<Fetch>(*fetch).lease, milliseconds(3000));
  EXPECT_EQ(std::get<Fetch>(*fetch).partial, std::vector{node(4)});
  const auto wait = parse_advice(to_json(Advice(Wait{milliseconds(250)})));
  ASSERT_TRUE(wait.ok());
  EXPECT_EQ(std::get<Wait>(*wait).again, milliseconds(250));
  const auto follow = parse_advice(to_json(Advice(Follow{{node(1), node(2, "a")}, node(3), {node(4)}})));
  ASSERT_TRUE(follow.ok());
  EXPECT_EQ(std::get<Follow>(*follow).complete, (std::vector{node(1), node(2, "a")}));
  EXPECT_EQ(std::get<Follow>(*follow).fetcher, node(3));
  EXPECT_EQ(std::get<Follow>(*follow).partial, std::vector{node(4)});
  const auto alone = parse_advice(to_json(Advice(Follow{{}, std::nullopt, {node(4)}})));
  ASSERT_TRUE(alone.ok());
  EXPECT_FALSE(std::get<Follow>(*alone).fetcher.has_value());
}

TEST(Wire, AnnounceSurvivesTheWireAtItsLargest) {
  Announce announce{node(9), {digest_of("a")}, {}, {digest_of("c")}, UINT64_MAX, true};
  while (announce.have.size() + 2 < kMaxDigests)
    announce.have.push_back(digest_of(std::to_string(announce.have.size()), base::HashAlgorithm::sha512));
  const auto back = parse_announce(to_json(announce));
  ASSERT_TRUE(back.ok()) << back.error().message();
  EXPECT_EQ(back->node, announce.node);
  EXPECT_EQ(back->fetching, announce.fetching);
  EXPECT_EQ(back->have, announce.have);
  EXPECT_EQ(back->gone, announce.gone);
  EXPECT_EQ(back->seen, UINT64_MAX);
  EXPECT_TRUE(back->leaving);
  announce.gone.push_back(digest_of("one more"));
  const auto over = parse_announce(to_json(announce));
  ASSERT_FALSE(over.ok());
  EXPECT_EQ(over.error().message(), "announce: more than 512 digests");
}

TEST(Wire, AnnounceAnswerSurvivesTheWireAtItsLargest) {
  AnnounceAnswer answer;
  const NodeInfo large{kId, "https://" + std::string(241, 'h') + ":65535", std::string(63, 'z'), 65535};
  ASSERT_TRUE(check(large).ok());
  while (answer.lost.size() < kMaxDigests) answer.lost.push_back(digest_of("x", base::HashAlgorithm::sha512));
  while (answer.members.size() < kMaxMembers) answer.members.push_back({large, answer.members.size() % 2 == 0});
  while (answer.trackers.size() < kMaxTrackers) answer.trackers.push_back(large.url);
  answer.version = 77;
  answer.id = kId;
  answer.know_nothing_of_you = true;
  const auto text = to_json(answer);
  EXPECT_LE(text.size(), 256u * 1024);
  const auto back = parse_announce_answer(text);
  ASSERT_TRUE(back.ok()) << back.error().message();
  EXPECT_EQ(back->lost, answer.lost);
  ASSERT_EQ(back->members.size(), kMaxMembers);
  EXPECT_EQ(back->members[0].node, large);
  EXPECT_TRUE(back->members[0].left);
  EXPECT_FALSE(back->members[1].left);
  EXPECT_EQ(back->trackers, answer.trackers);
  EXPECT_EQ(back->version, 77u);
  EXPECT_EQ(back->id, kId);
  EXPECT_TRUE(back->know_nothing_of_you);
  for (auto* grow : {&answer.trackers}) {
    grow->push_back(large.url);
    EXPECT_FALSE(parse_announce_answer(to_json(answer)).ok());
    grow->pop_back();
  }
  answer.members.push_back({large, false});
  EXPECT_FALSE(parse_announce_answer(to_json(answer)).ok());
}

TEST(Wire, WhatAnotherVersionAddsIsIgnoredAndWhatItLeavesOutIsEmpty) {
  const auto want = parse_want(base::format(
      R"({{"later":{{"a":[1,2]}},"node":{{"id":"{}","url":"http://h:1","x":null}},"digest":"{}","size":null}})", kId,
      kDigest));
  ASSERT_TRUE(want.ok()) << want.error().message();
  EXPECT_EQ(want->node, (NodeInfo{kId, "http://h:1", "", 0}));
  EXPECT_FALSE(want->want.size.has_value());
  const auto announce = parse_announce(base::format(R"({{"node":{},"held":7}})", node_json()));
  ASSERT_TRUE(announce.ok());
  EXPECT_EQ(announce->node.port, 7);
  EXPECT_EQ(announce->seen, 0u);
  EXPECT_FALSE(announce->leaving);
  const auto answer = parse_announce_answer(base::format(R"({{"id":"{}","new":true}})", kId));
  ASSERT_TRUE(answer.ok());
  EXPECT_TRUE(answer->members.empty());
}

struct Row {
  const char* what;
  std::string text;
  std::string says;  // part of the message
};

template <class Parse>
void refuses(const std::vector<Row>& rows, Parse parse) {
  for (const auto& row : rows) {
    const auto result = parse(row.text);
    ASSERT_FALSE(result.ok()) << row.what;
    EXPECT_EQ(result.error().kind(), ErrorKind::invalid) << row.what;
    EXPECT_NE(result.error().message().find(row.says), std::string::npos)
        << row.what << ": " << result.error().message();
  }
}

std::vector<Row> for_every_body() {
  std::string many = R"({"x":[)";
  for (int i = 0; i < 40'000; ++i) many += "1,";
  return {{"nothing", "", "not a JSON object"},
          {"not JSON", "{", "not a JSON object"},
          {"bytes after it", "{}}", "not a JSON object"},
          {"a list", "[]", "not a JSON object"},
          {"not UTF-8", "{\"x\":\"\xff\"}", "not a JSON object"},
          {"too deep", std::string(17, '['), "nested too deeply"},
          {"hundred thousand deep", std::string(100'000, '['), "nested too deeply"},
          {"too many values", many + "1]}", "too many values"},
          {"too large", R"({"x":")" + std::string(256 * 1024, 'a') + R"("})", "larger than 256 KiB"}};
}

TEST(Wire, RefusesWhatIsNoBody) {
  refuses(for_every_body(), [](const std::string& text) { return parse_want(text); });
  refuses(for_every_body(), [](const std::string& text) { return parse_advice(text); });
  refuses(for_every_body(), [](const std::string& text) { return parse_announce(text); });
  refuses(for_every_body(), [](const std::string& text) { return parse_announce_answer(text); });
}

std::string want_with(const std::string& members) {
  return base::format(R"({{"node":{},"digest":"{}",{}}})", node_json(), kDigest, members);
}

TEST(Wire, RefusesBadWants) {
  std::string ids;
  for (std::size_t i = 0; i <= kMaxAvoid; ++i) ids += (i == 0 ? "\"" : ",\"") + kId + "\"";
  refuses({{"no node", R"({"digest":")" + kDigest + "\"}", "'node' is missing"},
           {"node a string", R"({"node":"x","digest":")" + kDigest + "\"}", "'node' is not an object"},
           {"no digest", R"({"node":)" + node_json() + "}", "'digest'"},
           {"digest a number", R"({"node":)" + node_json() + R"(,"digest":5})", "'digest' is not a string"},
           {"digest bad", R"({"node":)" + node_json() + R"(,"digest":"md5:00"})", "digest must be"},
           {"size negative", want_with(R"("size":-1)"), "'size'"},
           {"size a fraction", want_with(R"("size":1.5)"), "'size'"},
           {"size beyond 63 bits", want_with(R"("size":9223372036854775808)"), "'size'"},
           {"avoid no list", want_with(R"("avoid":{})"), "'avoid' is not a list"},
           {"avoid numbers", want_with(R"("avoid":[1])"), "something else than strings"},
           {"avoid no ids", want_with(R"("avoid":["x"])"), "node ids"},
           {"avoid too long", want_with(R"("avoid":[)" + ids + "]"), "at most 64"}},
          [](const std::string& text) { return parse_want(text); });
}

TEST(Wire, RefusesBadAdvice) {
  std::string nodes;
  for (std::size_t i = 0; i <= kMaxPeers; ++i) nodes += (i == 0 ? "" : ",") + node_json();
  refuses({{"neither", "{}", "none of"},
           {"fetch a list", R"({"fetch":[]})", "'fetch' is not an object"},
           {"no lease", R"({"fetch":{}})", "'lease_ms' is missing"},
           {"lease 0", R"({"fetch":{"lease_ms":0}})", "from 1 to"},
           {"lease for ever", R"({"fetch":{"lease_ms":3600001}})", "to 3600000"},
           {"wait negative", R"({"wait":{"again_ms":-5}})", "'again_ms'"},
           {"follow nobody", R"({"follow":{"complete":[],"partial":[]}})", "names nobody"},
           {"too many", R"({"follow":{"complete":[)" + nodes + "]}}", "at most 64"},
           {"fetcher bad", R"({"follow":{"fetcher":{"id":"1"}}})", "32 lower-case hex"},
           {"partial of strings", R"({"follow":{"partial":["a"]}})", "something else than objects"}},
          [](const std::string& text) { return parse_advice(text); });
}

TEST(Wire, RefusesBadAnnouncesAndAnswers) {
  const auto announce = [](const std::string& members) {
    return base::format(R"({{"node":{},{}}})", node_json(), members);
  };
  refuses({{"have no digests", announce(R"("have":["x"])"), "'have': digest must be"},
           {"fetching an object", announce(R"("fetching":{})"), "'fetching' is not a list"},
           {"seen negative", announce(R"("seen":-1)"), "'seen'"},
           {"leaving a number", announce(R"("leaving":1)"), "'leaving' is not true or false"}},
          [](const std::string& text) { return parse_announce(text); });
  const auto answer = [](const std::string& members) { return base::format(R"({{"id":"{}",{}}})", kId, members); };
  refuses({{"no id", "{}", "'id'"},
           {"member without node", answer(R"("members":[{}])"), "'node' is missing"},
           {"member a string", answer(R"("members":["x"])"), "something else than objects"},
           {"left a string", answer(R"("members":[{"node":)" + node_json() + R"(,"left":"no"}])"), "'left'"},
           {"tracker with a path", answer(R"("trackers":["http://h:1/"])"), "'trackers'"},
           {"version a string", answer(R"("version":"1")"), "'version'"}},
          [](const std::string& text) { return parse_announce_answer(text); });
}

TEST(Wire, ChecksNodes) {
  struct NodeRow {
    NodeInfo node;
    bool good;
  };
  const std::string url = "http://h:1";
  const std::vector<NodeRow> rows = {
      {{kId, url, "", 0}, true},
      {{kId, "https://a-b.example.org:65535", "dc1.rack_2-x", 65535}, true},
      {{kId, "http://[2001:db8::1]:80", "", 1}, true},
      {{kId, "http://" + std::string(246, 'h') + ":1", std::string(63, 'z'), 1}, true},
      {{kId, "http://" + std::string(247, 'h') + ":1", "", 1}, false},
      {{kId, url, std::string(64, 'z'), 1}, false},
      {{kId, url, "Rack", 1}, false},
      {{kId, url, "a b", 1}, false},
      {{"", url, "", 1}, false},
      {{kId.substr(1), url, "", 1}, false},
      {{kId + "0", url, "", 1}, false},
      {{"X" + kId.substr(1), url, "", 1}, false},
      {{"A" + kId.substr(1), url, "", 1}, false},
      {{kId, "", "", 1}, false},
      {{kId, "h:1", "", 1}, false},
      {{kId, "ftp://h:1", "", 1}, false},
      {{kId, "HTTP://h:1", "", 1}, false},
      {{kId, "http://h", "", 1}, false},
      {{kId, "http://h:", "", 1}, false},
      {{kId, "http://:1", "", 1}, false},
      {{kId, "http://h:0", "", 1}, false},
      {{kId, "http://h:01", "", 1}, false},
      {{kId, "http://h:65536", "", 1}, false},
      {{kId, "http://h:1/", "", 1}, false},
      {{kId, "http://h:1/x", "", 1}, false},
      {{kId, "http://h:1?x", "", 1}, false},
      {{kId, "http://u@h:1", "", 1}, false},
      {{kId, "http://u:p@h:1", "", 1}, false},
      {{kId, "http://h\r\n:1", "", 1}, false},
      {{kId, "http://2001:db8::1:80", "", 1}, false},
      {{kId, "http://[]:80", "", 1}, false},
      {{kId, "http://[h]:80", "", 1}, false},
  };
  for (const auto& row : rows)
    EXPECT_EQ(check(row.node).ok(), row.good) << row.node.id << " " << row.node.url << " " << row.node.zone;
}

// Cut or changed at any byte, it is refused or read, but never crashes and never reads beyond its bounds.
TEST(Wire, AnyByteMayBeMissingOrWrong) {
  Announce announce{node(9, "z"), {digest_of("a")}, {digest_of("b")}, {}, 3, true};
  const auto text = to_json(announce);
  for (std::size_t i = 0; i < text.size(); ++i) {
    EXPECT_FALSE(parse_announce(text.substr(0, i)).ok());
    auto changed = text;
    changed[i] = '\x80';
    EXPECT_FALSE(parse_announce(changed).ok()) << i;
  }
}

}  // namespace
}  // namespace shoal::p2p
