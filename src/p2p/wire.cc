#include "wire.h"

#include <algorithm>
#include <cstdint>
#include <optional>

#include "json.h"
#include "shoal/base/format.h"

namespace shoal::p2p {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;

constexpr std::size_t kMaxUrl = 255;
constexpr std::size_t kMaxZone = 63;
constexpr std::size_t kMaxDigestText = 7 + 128;
constexpr std::uint64_t kMaxWaitMs = 3'600'000;

bool valid_id(std::string_view id) {
  return id.size() == 32 && id.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

// A host name or IPv4 address, or an IPv6 address in brackets. Whether it resolves is not asked here.
bool valid_host(std::string_view host) {
  static constexpr std::string_view kName = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_";
  static constexpr std::string_view kAddress = "0123456789abcdefABCDEF:.";
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
    return host.find(':') != std::string_view::npos && host.find_first_not_of(kAddress) == std::string_view::npos;
  }
  return !host.empty() && host.find_first_not_of(kName) == std::string_view::npos;
}

bool valid_port(std::string_view port) {
  if (port.empty() || port.size() > 5 || port.find_first_not_of("0123456789") != std::string_view::npos) return false;
  int number = 0;
  for (const char c : port) number = number * 10 + (c - '0');
  return port.front() != '0' && number <= 65'535;
}

bool valid_url(std::string_view url) {
  if (url.size() > kMaxUrl) return false;
  const std::string_view scheme = url.starts_with("https://") ? "https://" : "http://";
  if (!url.starts_with(scheme)) return false;
  url.remove_prefix(scheme.size());
  const auto colon = url.rfind(':');
  return colon != std::string_view::npos && valid_host(url.substr(0, colon)) && valid_port(url.substr(colon + 1));
}

json json_of(const NodeInfo& node) {
  return {{"id", node.id}, {"url", node.url}, {"zone", node.zone}, {"port", node.port}};
}

json json_of(const std::vector<NodeInfo>& nodes) {
  json list = json::array();
  for (const auto& node : nodes) list.push_back(json_of(node));
  return list;
}

json json_of(const std::vector<base::Digest>& digests) {
  json list = json::array();
  for (const auto& digest : digests) list.push_back(digest.to_string());
  return list;
}

NodeInfo node_from(const json& object, std::string& fault) {
  ObjectReader reader(object, fault);
  NodeInfo node;
  node.id = reader.text("id", 32);
  node.url = reader.text("url", kMaxUrl);
  node.zone = reader.text("zone", kMaxZone);
  node.port = static_cast<std::uint16_t>(reader.number("port", 0, 65'535));
  if (const auto good = check(node); !good.ok()) reader.fail(good.error().message());
  return node;
}

NodeInfo member_node(ObjectReader& reader, std::string& fault) {
  const json* object = reader.object("node");
  if (object == nullptr) reader.fail("'node' is missing");
  return object == nullptr ? NodeInfo{} : node_from(*object, fault);
}

std::vector<NodeInfo> nodes_from(ObjectReader& reader, const char* name, std::string& fault) {
  std::vector<NodeInfo> nodes;
  reader.each_object(name, kMaxPeers, [&](const json& object) { nodes.push_back(node_from(object, fault)); });
  return nodes;
}

std::vector<base::Digest> digests_from(ObjectReader& reader, const char* name, std::size_t limit) {
  std::vector<base::Digest> digests;
  reader.each_text(name, limit, [&](const std::string& text) {
    const auto digest = base::Digest::parse(text);
    if (!digest) return reader.fail(base::format("'{}': {}", name, digest.error().message()));
    digests.push_back(*digest);
  });
  return digests;
}

milliseconds wait_from(ObjectReader& reader, const char* name) {
  if (!reader.has(name)) reader.fail(base::format("'{}' is missing", name));
  return milliseconds(reader.number(name, 1, kMaxWaitMs));
}

void append_text(std::string& out, std::string_view text) {
  const auto plain = [](char c) { return c >= ' ' && c <= '~' && c != '"' && c != '\\'; };
  if (!std::all_of(text.begin(), text.end(), plain)) {  // nothing that check() lets through
    out += dump(json(text));
    return;
  }
  out += '"';
  out += text;
  out += '"';
}

void append_item(std::string& out, std::string_view text) {
  if (out.back() != '[') out += ',';
  append_text(out, text);
}

void append_node(std::string& out, const NodeInfo& node) {
  out += R"({"id":)";
  append_text(out, node.id);
  out += R"(,"port":)";
  out += std::to_string(node.port);
  out += R"(,"url":)";
  append_text(out, node.url);
  out += R"(,"zone":)";
  append_text(out, node.zone);
  out += '}';
}

template <class T, class Read>
base::Result<T> parse(std::string_view text, const char* what, Read read) {
  auto document = parse_object(text);
  if (!document) return document.error().at(what);
  std::string fault;
  ObjectReader reader(*document, fault);
  T value = read(reader, fault);
  if (reader.failed()) return base::Error(base::ErrorKind::invalid, fault).at(what);
  return value;
}

}  // namespace

std::string to_json(const WantCall& call) {
  json out = {{"node", json_of(call.node)}, {"digest", call.want.digest.to_string()}, {"avoid", call.want.avoid}};
  if (call.want.size) out["size"] = *call.want.size;
  return dump(out);
}

std::string to_json(const Advice& advice) {
  if (const auto* fetch = std::get_if<Fetch>(&advice))
    return dump({{"fetch", {{"lease_ms", fetch->lease.count()}, {"partial", json_of(fetch->partial)}}}});
  if (const auto* wait = std::get_if<Wait>(&advice)) return dump({{"wait", {{"again_ms", wait->again.count()}}}});
  const auto& follow = std::get<Follow>(advice);
  json out = {{"complete", json_of(follow.complete)}, {"partial", json_of(follow.partial)}};
  if (follow.fetcher) out["fetcher"] = json_of(*follow.fetcher);
  return dump({{"follow", std::move(out)}});
}

std::string to_json(const Announce& announce) {
  return dump({{"node", json_of(announce.node)},
               {"fetching", json_of(announce.fetching)},
               {"have", json_of(announce.have)},
               {"gone", json_of(announce.gone)},
               {"seen", announce.seen},
               {"leaving", announce.leaving}});
}

// By hand: with the members of a large site, and every node of it at the door, building a document first was what a
// tracker's time went into.
std::string to_json(const AnnounceAnswer& answer) {
  std::string out;
  out.reserve(256 + 128 * answer.members.size());
  out += R"({"id":)";
  append_text(out, answer.id);
  out += answer.know_nothing_of_you ? R"(,"know_nothing_of_you":true,"lost":[)"
                                    : R"(,"know_nothing_of_you":false,"lost":[)";
  for (const auto& digest : answer.lost) append_item(out, digest.to_string());
  out += R"(],"members":[)";
  for (const auto& member : answer.members) {
    out += out.back() == '[' ? R"({"left":)" : R"(,{"left":)";
    out += member.left ? R"(true,"node":)" : R"(false,"node":)";
    append_node(out, member.node);
    out += '}';
  }
  out += R"(],"trackers":[)";
  for (const auto& url : answer.trackers) append_item(out, url);
  out += R"(],"version":)";
  out += std::to_string(answer.version);
  out += '}';
  return out;
}

base::Result<WantCall> parse_want(std::string_view text) {
  auto parsed = parse<std::optional<WantCall>>(
      text, "want", [](ObjectReader& reader, std::string& fault) -> std::optional<WantCall> {
        NodeInfo node = member_node(reader, fault);
        const auto named = base::Digest::parse(reader.text("digest", kMaxDigestText));
        if (!named) reader.fail(base::format("'digest': {}", named.error().message()));
        if (reader.failed()) return std::nullopt;
        WantCall call{std::move(node), Want{*named, std::nullopt, {}}};
        if (reader.has("size")) call.want.size = reader.number("size", 0, INT64_MAX);
        reader.each_text("avoid", kMaxAvoid, [&](const std::string& id) {
          if (!valid_id(id)) return reader.fail("'avoid' holds something else than node ids");
          call.want.avoid.push_back(id);
        });
        return call;
      });
  if (!parsed) return parsed.error();
  return std::move(**parsed);
}

base::Result<Advice> parse_advice(std::string_view text) {
  return parse<Advice>(text, "advice", [](ObjectReader& reader, std::string& fault) -> Advice {
    if (const json* object = reader.object("fetch")) {
      ObjectReader fetch(*object, fault);
      return Fetch{wait_from(fetch, "lease_ms"), nodes_from(fetch, "partial", fault)};
    }
    if (const json* object = reader.object("follow")) {
      ObjectReader inner(*object, fault);
      Follow follow{nodes_from(inner, "complete", fault), std::nullopt, nodes_from(inner, "partial", fault)};
      if (const json* fetcher = inner.object("fetcher")) follow.fetcher = node_from(*fetcher, fault);
      if (follow.complete.empty() && follow.partial.empty() && !follow.fetcher) reader.fail("'follow' names nobody");
      return follow;
    }
    if (const json* object = reader.object("wait")) {
      ObjectReader wait(*object, fault);
      return Wait{wait_from(wait, "again_ms")};
    }
    reader.fail("none of 'fetch', 'follow' and 'wait'");
    return Wait{};
  });
}

base::Result<Announce> parse_announce(std::string_view text) {
  return parse<Announce>(text, "announce", [](ObjectReader& reader, std::string& fault) {
    Announce announce;
    announce.node = member_node(reader, fault);
    announce.fetching = digests_from(reader, "fetching", kMaxDigests);
    announce.have = digests_from(reader, "have", kMaxDigests);
    announce.gone = digests_from(reader, "gone", kMaxDigests);
    if (announce.fetching.size() + announce.have.size() + announce.gone.size() > kMaxDigests)
      reader.fail(base::format("more than {} digests", kMaxDigests));
    announce.seen = reader.number("seen", 0, UINT64_MAX);
    announce.leaving = reader.flag("leaving");
    return announce;
  });
}

base::Result<AnnounceAnswer> parse_announce_answer(std::string_view text) {
  return parse<AnnounceAnswer>(text, "announce answer", [](ObjectReader& reader, std::string& fault) {
    AnnounceAnswer answer;
    answer.lost = digests_from(reader, "lost", kMaxDigests);
    reader.each_object("members", kMaxMembers, [&](const json& object) {
      ObjectReader member(object, fault);
      answer.members.push_back({member_node(member, fault), member.flag("left")});
    });
    answer.version = reader.number("version", 0, UINT64_MAX);
    reader.each_text("trackers", kMaxTrackers, [&](const std::string& url) {
      if (!valid_url(url)) return reader.fail("'trackers' holds something else than URLs of nodes");
      answer.trackers.push_back(url);
    });
    answer.id = reader.text("id", 32);
    if (!valid_id(answer.id)) reader.fail("'id' is not 32 lower-case hex digits");
    answer.know_nothing_of_you = reader.flag("know_nothing_of_you");
    return answer;
  });
}

base::Result<void> check(const NodeInfo& node) {
  const auto invalid = [](const char* why) { return base::Error(base::ErrorKind::invalid, why); };
  if (!valid_id(node.id)) return invalid("a node's id must be 32 lower-case hex digits");
  if (!valid_url(node.url)) return invalid("a node's URL must be http(s)://<host>:<port>, at most 255 characters");
  static constexpr std::string_view kWord = "abcdefghijklmnopqrstuvwxyz0123456789._-";
  if (node.zone.size() > kMaxZone || node.zone.find_first_not_of(kWord) != std::string::npos)
    return invalid("a zone must be at most 63 of a-z, 0-9, '.', '_' and '-'");
  return {};
}

}  // namespace shoal::p2p
