// What the nodes of a site tell each other, as values. DESIGN section 8. On the wire they are JSON (src/p2p/wire.h).
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "shoal/base/digest.h"
#include "shoal/base/result.h"

namespace shoal::p2p {

// A node as others see it. `id` is made at its first start and kept in its store.
struct NodeInfo {
  std::string id;          // 32 lower-case hex digits
  std::string url;         // "http://10.0.0.7:5000": where its listener answers /p2p/v1/ and /v2/
  std::string zone;        // "" or a word; nodes of one zone are close
  std::uint16_t port = 0;  // BitTorrent, on the host of `url`; 0: none
  bool operator==(const NodeInfo&) const = default;
};

// id: 32 lower-case hex; url: http or https, a host and a port, no path, no userinfo, at most 255 characters; zone: at
// most 63 of [a-z0-9._-].
[[nodiscard]] base::Result<void> check(const NodeInfo& node);

// "I need this blob, or manifest": asked of the tracker that owns the digest.
struct Want {
  base::Digest digest;
  std::optional<std::uint64_t> size;
  std::vector<std::string> avoid;  // ids of nodes that did not serve: at most kMaxAvoid
};
inline constexpr std::size_t kMaxAvoid = 64;

// What the tracker advises.
inline constexpr std::size_t kMaxPeers = 64;  // in each list of an Advice
struct Fetch {  // you hold the lease: ask upstream. Renew it, at least this often, while bytes flow
  std::chrono::milliseconds lease{0};
  std::vector<NodeInfo> partial;  // who has got parts of it, from a fetcher before you: upstream need not send those
};
struct Follow {                     // somebody has it, or is bringing it
  std::vector<NodeInfo> complete;   // nodes that hold all of it, best first
  std::optional<NodeInfo> fetcher;  // the node that holds the lease
  std::vector<NodeInfo> partial;    // others that are getting it
};
struct Wait {  // whoever holds the lease is one you cannot reach: ask again
  std::chrono::milliseconds again{0};
};
using Advice = std::variant<Fetch, Follow, Wait>;

// What a node tells a tracker about once a second, in one message for all blobs.
struct Announce {
  NodeInfo node;
  std::vector<base::Digest> fetching;  // leases held, bytes flowing: renewed
  std::vector<base::Digest> have;      // complete since the last announce
  std::vector<base::Digest> gone;      // no longer held, or no longer wanted
  std::uint64_t seen = 0;              // version of the tracker's last answer; 0: none yet, this node has just started
  bool leaving = false;                // the node stops
};
inline constexpr std::size_t kMaxDigests = 512;  // in all lists of one Announce together

struct Member {
  NodeInfo node;
  bool left = false;
};
struct AnnounceAnswer {
  std::vector<base::Digest> lost;     // of `fetching`: the lease has passed on
  std::vector<Member> members;        // changes since `seen`, at most kMaxMembers; more with the next announce
  std::uint64_t version = 0;          // of the list, these changes included
  std::vector<std::string> trackers;  // URLs of the trackers it knows to be alive, its own first
  std::string id;                     // its own
  // It has just started, or forgot you, or you it: tell it all you hold again. `members` begins anew as well: whom it
  // named before and does not name by the first answer with fewer than kMaxMembers has left.
  bool know_nothing_of_you = false;
};
inline constexpr std::size_t kMaxTrackers = 64;
inline constexpr std::size_t kMaxMembers = 256;

}  // namespace shoal::p2p
