// A registry's images: repositories that share base images, and get new versions which replace their upper layers.
#pragma once

#include <vector>

#include "random.h"
#include "trace.h"

namespace shoal::sim {

inline constexpr double kHour = 3600, kDay = 24 * kHour;

// A layer as registries have them: half are below 4 MB, nine tenths below 63 MB.
[[nodiscard]] std::uint32_t add_layer(Trace& trace, Random& random, double median = 4e6);

class Catalogue {
 public:
  Catalogue(Trace& trace, Random& random, std::size_t repositories);

  [[nodiscard]] std::size_t repositories() const { return repos_.size(); }
  void release(std::uint32_t repository);  // a new version of it
  void rebuild_base();                     // one base image is made anew; repositories take it with their next version

  // The layers of a version, lowest first; back = 0: the newest. The first `shared` of them are of the base image.
  struct Image {
    std::vector<std::uint32_t> layers;
    std::size_t shared = 0;
  };
  [[nodiscard]] const Image& image(std::uint32_t repository, std::uint32_t back) const;

 private:
  struct Repository {
    std::uint32_t base = 0;
    std::vector<Image> versions;
  };
  [[nodiscard]] Image first_version(std::uint32_t base);
  [[nodiscard]] std::vector<std::uint32_t> new_base();
  [[nodiscard]] std::uint32_t new_config();

  Trace& trace_;
  Random& random_;
  std::vector<std::vector<std::uint32_t>> bases_;
  std::vector<Repository> repos_;
};

}  // namespace shoal::sim
