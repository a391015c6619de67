#include "profile.h"

#include <algorithm>

#include "shoal/base/format.h"
#include "shoal/registry/manifest.h"
#include "shoal/registry/name.h"

namespace shoal::bench {
namespace {

using base::format;

constexpr const char* kGzip = "Accept-Encoding: gzip\r\n";  // as Go adds it to every GET without Range
constexpr const char* kDockerAccept =
    "application/json, application/vnd.docker.distribution.manifest.v2+json, "
    "application/vnd.docker.distribution.manifest.list.v2+json, "
    "application/vnd.docker.distribution.manifest.v1+prettyjws, application/vnd.oci.image.manifest.v1+json, "
    "application/vnd.oci.image.index.v1+json";
constexpr const char* kContainerdAccept =
    "application/vnd.docker.distribution.manifest.v2+json, application/vnd.docker.distribution.manifest.list.v2+json, "
    "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json, */*";
constexpr const char* kImageAccept =
    "application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json, "
    "application/vnd.docker.distribution.manifest.v1+prettyjws, application/vnd.docker.distribution.manifest.v1+json, "
    "application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.oci.image.index.v1+json";

constexpr unsigned kPiecesAtOnce = 8;
constexpr std::uint64_t kPiece = 16 << 20;

class Planner {
 public:
  Planner(const Profile& profile, const Image& image, std::string_view ns)
      : profile_(profile), image_(image), query_(ns.empty() ? "" : format("?ns={}", registry::percent_encoded(ns))) {}

  std::vector<Step> plan() {
    if (profile_.ping) alone({What::ping, "GET", "/v2/", kGzip, 0, {}, false, false});
    manifests();
    blobs();
    return std::move(steps_);
  }

 private:
  void alone(PlannedAsk ask) {
    steps_.push_back({1, {}});
    steps_.back().asks.push_back(std::move(ask));
  }
  [[nodiscard]] std::string path(std::string_view kind, std::string_view name) const {
    return format("/v2/{}/{}/{}{}", image_.repository, kind, name, query_);
  }

  void manifests() {
    const auto accept = format("Accept: {}\r\n", profile_.manifest_accept);
    if (profile_.head) {
      alone({What::manifest_head, "HEAD", path("manifests", image_.reference), accept, 0, {}, false, false});
    }
    bool first = true;
    for (const auto& manifest : image_.manifests) {
      const auto name = first && !profile_.head ? image_.reference : manifest.digest;
      first = false;
      alone({What::manifest, "GET", path("manifests", name), accept + kGzip, 0, manifest.size, false, false});
    }
  }

  void blobs() {
    Step step{profile_.parallel, {}};
    for (std::size_t i = 0; i < image_.blobs.size(); ++i) {
      if (!image_.blobs[i].config) {
        add_layer(step, i);
        continue;
      }
      PlannedAsk ask{What::config, "GET", path("blobs", image_.blobs[i].digest), kGzip, i, image_.blobs[i].size,
                     false,        true};
      if (profile_.config_first) {
        ask.beside = false;
        alone(std::move(ask));
      } else {
        step.asks.push_back(std::move(ask));
      }
    }
    if (!step.asks.empty()) steps_.push_back(std::move(step));
  }

  void add_layer(Step& step, std::size_t index) {
    const auto& blob = image_.blobs[index];
    const auto at = path("blobs", blob.digest);
    if (profile_.piece == 0 || blob.size == 0) {
      step.asks.push_back({What::layer, "GET", at, kGzip, index, blob.size, false, false});
      return;
    }
    for (std::uint64_t begin = 0; begin < blob.size; begin += profile_.piece) {
      const auto length = std::min(profile_.piece, blob.size - begin);
      step.asks.push_back({What::layer, "GET", at, format("Range: bytes={}-{}\r\n", begin, begin + length - 1), index,
                           length, true, false});
    }
  }

  const Profile& profile_;
  const Image& image_;
  const std::string query_;
  std::vector<Step> steps_;
};

}  // namespace

std::optional<Profile> find_profile(std::string_view name, unsigned parallel, std::uint64_t piece) {
  Profile profile;
  profile.name = name;
  if (name == "docker") {
    profile = {profile.name, true, true, true, false, 3, 0, kDockerAccept, {}};
  } else if (name == "containerd") {
    profile = {profile.name, false, false, true, false, 0, 0, kContainerdAccept, {}};
  } else if (name == "podman") {
    profile = {
        profile.name, true, true, false, true, 6, 0, kImageAccept, "Docker-Distribution-Api-Version: registry/2.0\r\n"};
  } else if (name == "ranged") {
    profile = {profile.name,      false, false, true, false, kPiecesAtOnce, piece == 0 ? kPiece : piece,
               kContainerdAccept, {}};
  } else {
    return std::nullopt;
  }
  if (parallel != 0) profile.parallel = parallel;
  return profile;
}

std::vector<Step> plan_pull(const Profile& profile, const Image& image, std::string_view ns) {
  return Planner(profile, image, ns).plan();
}

}  // namespace shoal::bench
