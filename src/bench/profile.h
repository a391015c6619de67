// How clients pull: which requests, in which order, how many at once, over which connections. Pure.
//
// docker (dockerd 20.10): ping, HEAD by tag, GET by digest; the config beside three layers; a connection each.
// containerd (1.6): HEAD by tag, GET by digest; config and layers all at once over kept connections.
// podman (containers/image 5.23): ping, GET by tag; the config, then six layers; a connection each.
// ranged: as containerd, each layer in pieces by Range, a number of pieces at once.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "image.h"

namespace shoal::bench {

struct Profile {
  std::string name;
  bool close = false;         // Connection: close on every request
  bool ping = false;          // GET /v2/ first
  bool head = false;          // HEAD by tag, then GET by digest; else GET by tag
  bool config_first = false;  // before the layers; else beside them
  unsigned parallel = 0;      // layers, or pieces, at once; 0: all
  std::uint64_t piece = 0;    // bytes of a piece; 0: layers come whole
  std::string manifest_accept;
  std::string extra;  // header lines of every request
};

// nullopt: no such profile. `parallel`, `piece`: 0: as the client has it (ranged: 8, 16 MiB).
[[nodiscard]] std::optional<Profile> find_profile(std::string_view name, unsigned parallel, std::uint64_t piece);

enum class What { ping, manifest_head, manifest, config, layer };

struct PlannedAsk {
  What what = What::ping;
  std::string method;
  std::string path;                       // with query
  std::string headers;                    // lines
  std::size_t blob = 0;                   // in Image::blobs, of config and layer
  std::optional<std::uint64_t> expected;  // bytes of the body; nullopt: any number
  bool partial = false;                   // 206 is the answer
  bool beside = false;                    // does not count among those at once
};
struct Step {             // all of them ended: the next step begins
  unsigned parallel = 0;  // 0: all at once
  std::vector<PlannedAsk> asks;
};
// `ns`: what containerd tells a mirror as ?ns=; "" for none.
[[nodiscard]] std::vector<Step> plan_pull(const Profile& profile, const Image& image, std::string_view ns);

}  // namespace shoal::bench
