// Retention: which artifacts of a repository the rules keep. Harbor's templates. Pure; any thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "shoal/base/clock.h"
#include "shoal/base/digest.h"

namespace shoal::registry {

struct RetentionRule {
  enum class Keep {
    always,
    latest_pushed,  // the `count` pushed last
    latest_pulled,  // the `count` pulled last; what was never pulled comes last
    pushed_within,  // pushed no longer than `within` ago
    pulled_within,
  };
  std::vector<std::string> repositories{"**"};  // patterns (matches); any of them
  std::vector<std::string> tags{"**"};          // an artifact takes part if one of its tags matches one of them
  std::vector<std::string> except_tags;         // ... and that tag none of these
  bool untagged = false;                        // artifacts without a tag take part too
  Keep keep = Keep::always;
  std::uint64_t count = 0;
  std::chrono::seconds within{0};
};

struct Artifact {  // a manifest or index that stands for itself: tagged, or no other one's child or referrer
  base::Digest digest;
  std::vector<std::string> tags;
  base::WallTime pushed{};
  std::optional<base::WallTime> pulled;
};

// The digests of `artifacts` that no rule keeps. A repository that no rule is about keeps everything; otherwise what
// takes part in no rule goes. An artifact that is kept keeps all its tags. Ties in time go by digest, so that the
// answer is the same every time.
[[nodiscard]] std::vector<base::Digest> not_retained(const std::vector<RetentionRule>& rules,
                                                     std::string_view repository,
                                                     const std::vector<Artifact>& artifacts, base::WallTime now);

}  // namespace shoal::registry
