// The JSON bodies of /p2p/v1/: values of values.h to text and back. Parsers are bounded (256 KiB, counts, depth),
// ignore members they do not know (mixed versions), take an absent list, flag or number for empty, false or 0, and
// answer ErrorKind::invalid with what is wrong. Fuzzed.
//
//   node:     {"id", "url", "zone", "port"}
//   want:     {"node", "digest", "size"?, "avoid": [id]}
//   advice:   {"fetch": {"lease_ms", "partial": [node]}} or {"wait": {"again_ms"}} or
//             {"follow": {"complete": [node], "fetcher"?: node, "partial": [node]}}, which names somebody
//   announce: {"node", "fetching": [digest], "have": [digest], "gone": [digest], "seen", "leaving"}
//   answer:   {"lost": [digest], "members": [{"node", "left"}], "version", "trackers": [url], "id",
//             "know_nothing_of_you"}
#pragma once

#include <string>
#include <string_view>

#include "shoal/base/result.h"
#include "shoal/p2p/values.h"

namespace shoal::p2p {

struct WantCall {
  NodeInfo node;
  Want want;
};
[[nodiscard]] std::string to_json(const WantCall& call);
[[nodiscard]] std::string to_json(const Advice& advice);
[[nodiscard]] std::string to_json(const Announce& announce);
[[nodiscard]] std::string to_json(const AnnounceAnswer& answer);
[[nodiscard]] base::Result<WantCall> parse_want(std::string_view json);
[[nodiscard]] base::Result<Advice> parse_advice(std::string_view json);
[[nodiscard]] base::Result<Announce> parse_announce(std::string_view json);
[[nodiscard]] base::Result<AnnounceAnswer> parse_announce_answer(std::string_view json);

}  // namespace shoal::p2p
