// What nodes of a site send each other: the JSON bodies of /p2p/v1/ and the header of the seal. The first byte chooses.
#include <cstdlib>
#include <string>

#include "../../src/p2p/seal.h"
#include "../../src/p2p/wire.h"

namespace {

using namespace shoal;
using namespace shoal::p2p;

void require(bool holds) {
  if (!holds) std::abort();
}

void check_nodes(const std::vector<NodeInfo>& nodes) {
  require(nodes.size() <= kMaxPeers);
  for (const auto& node : nodes) require(check(node).ok());
}

// What was accepted is within its bounds and means the same when it is written and read again.
template <class Parse>
auto accepted(std::string_view text, Parse parse) {
  auto value = parse(text);
  if (!value.ok()) {
    require(value.error().kind() == base::ErrorKind::invalid && !value.error().message().empty());
    return value;
  }
  const auto written = to_json(*value);
  const auto again = parse(written);
  require(again.ok() && to_json(*again) == written);
  return value;
}

void want(std::string_view text) {
  const auto call = accepted(text, parse_want);
  if (!call.ok()) return;
  require(check(call->node).ok() && call->want.avoid.size() <= kMaxAvoid);
}

void advice(std::string_view text) {
  const auto value = accepted(text, parse_advice);
  if (!value.ok()) return;
  if (const auto* follow = std::get_if<Follow>(&*value)) {
    check_nodes(follow->complete);
    check_nodes(follow->partial);
    require(!follow->complete.empty() || !follow->partial.empty() || follow->fetcher.has_value());
  } else if (const auto* fetch = std::get_if<Fetch>(&*value)) {
    check_nodes(fetch->partial);
    require(fetch->lease.count() > 0);
  } else {
    require(std::get<Wait>(*value).again.count() > 0);
  }
}

void announce(std::string_view text) {
  const auto value = accepted(text, parse_announce);
  if (!value.ok()) return;
  require(check(value->node).ok());
  require(value->fetching.size() + value->have.size() + value->gone.size() <= kMaxDigests);
}

void answer(std::string_view text) {
  const auto value = accepted(text, parse_announce_answer);
  if (!value.ok()) return;
  require(value->members.size() <= kMaxMembers && value->lost.size() <= kMaxDigests);
  for (const auto& member : value->members) require(check(member.node).ok());
}

void seal(std::string_view text) {
  static const auto seal = std::move(*Seal::make("0123456789abcdef"));
  const base::WallTime now{std::chrono::milliseconds(1'700'000'000'123)};
  // The corpus has one that is good; nothing else can be, and that one once.
  static int good = 0;
  const auto caller = seal->check_request(text, "POST", "/p2p/v1/want", R"({"a":1})", now);
  if (caller.ok()) {
    require(++good == 1 && caller->node.size() == 32 && caller->nonce.size() == 32);
  } else {
    require(caller.error().kind() == base::ErrorKind::denied);
  }
  const std::string nonce(32, '0');
  require(!seal->check_answer(text, nonce, 200, "body"));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] % 5) {
    case 0: want(text); break;
    case 1: advice(text); break;
    case 2: announce(text); break;
    case 3: answer(text); break;
    default: seal(text); break;
  }
  return 0;
}
