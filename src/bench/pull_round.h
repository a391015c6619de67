// One round: so many clients, all at once, pull an image from a target, each once, in the way of a profile.
#pragma once

#include <string>
#include <vector>

#include "cache_status.h"
#include "histogram.h"
#include "profile.h"
#include "session.h"

namespace shoal::bench {

inline constexpr std::size_t kSourceCount = std::size(kSources);
using BytesBySource = std::array<std::uint64_t, kSourceCount>;

struct LayerResult {  // of one blob in one round
  std::uint64_t requests = 0, bytes = 0;
  Histogram first_byte;  // ns, from the request on, connecting included; of a layer in pieces the first of them
  Histogram whole;       // ns, until its last byte
};

struct PullRound {
  unsigned clients = 0, finished = 0;  // of them, whole pulls
  double seconds = 0;                  // until the last client had its last byte
  std::uint64_t bytes = 0;             // of blobs; manifests are not in it
  std::uint64_t requests = 0, failed = 0, redirects = 0, connections = 0, waited = 0;
  double cpu_seconds = 0;       // of this process
  Histogram pull;               // ns: a client's whole pull, manifests included
  Histogram first_byte, whole;  // of all layers, the config not among them
  std::vector<LayerResult> blobs;
  BytesBySource sources{};
  bool warm_layer = false;          // the first request for some layer was answered from the target's cache
  std::vector<std::string> errors;  // the first few

  [[nodiscard]] double bytes_per_second() const { return seconds > 0 ? static_cast<double>(bytes) / seconds : 0; }
};

// What this thread has used of a processor, in user mode and in the kernel.
[[nodiscard]] double thread_cpu_seconds();

// A stopped run: what there was until then.
[[nodiscard]] PullRound pull_round(Drive& drive, Session& session, const Profile& profile, const Image& image,
                                   std::string_view ns, unsigned clients, bool verify);

}  // namespace shoal::bench
