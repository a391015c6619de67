// Traces for the eviction simulator: who asks for which blob when. Made from a seed, the same on every run.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace shoal::sim {

struct Request {
  double at = 0;  // seconds since the trace began
  std::uint32_t blob = 0;
};

struct Trace {
  std::string name;
  std::vector<std::uint64_t> sizes;  // bytes, by blob
  std::vector<Request> requests;     // in order of time
  std::uint64_t footprint = 0;       // bytes of all blobs that are asked for
};

// zipf     blobs of fixed popularity; every three days a quarter of the ranks pass to blobs never seen before
// images   repositories on shared base images, new versions all the time, pulled by one node or by a whole cluster
// scans    images, and beside them a nightly walk over images nobody wants again, weekly one over the whole catalogue
// daily    the same CI images each night, people by day, next to nothing at weekends
// mix      all of them in one cache
// `scale` shrinks time, catalogue and requests alike.
[[nodiscard]] std::vector<Trace> make_traces(std::uint64_t seed, double scale);

}  // namespace shoal::sim
