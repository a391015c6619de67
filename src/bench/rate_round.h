// One round of manifest requests at a fixed rate (OpenLoop): they are due whether or not earlier ones were answered.
#pragma once

#include <string>
#include <vector>

#include "histogram.h"
#include "session.h"

namespace shoal::bench {

struct RateRound {
  double rate = 0;  // a second, wanted
  std::uint64_t due = 0, answered = 0, failed = 0;
  double seconds = 0;  // until the last answer
  double cpu_seconds = 0;
  Histogram response;  // ns, from when each was due: what a client that keeps the rate meets
  Histogram service;   // ns, from when it had a connection: hides what piled up before; to compare
  Histogram lateness;  // ns, from when it was due until this client got to it: its own fault
  std::vector<std::string> errors;
};

// Over so many kept connections at most; what finds none waits, and its time runs.
[[nodiscard]] RateRound rate_round(Drive& drive, Session& session, const Ask& ask, double rate,
                                   std::chrono::nanoseconds length, unsigned connections);

}  // namespace shoal::bench
