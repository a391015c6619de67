#include "shoal/registry/platform.h"

#include <sys/utsname.h>

#include <algorithm>

#include "shoal/base/format.h"

namespace shoal::registry {
namespace {

using base::Error;
using base::ErrorKind;
using base::format;

// "linux/arm64" means "linux/arm64/v8" too.
bool fits(const std::string& have, const std::string& wanted) {
  return have == wanted || have.starts_with(wanted + "/");
}

}  // namespace

std::string own_platform() {
  utsname names{};
  const std::string machine = ::uname(&names) == 0 ? names.machine : "";
  if (machine == "x86_64") return "linux/amd64";
  if (machine == "aarch64") return "linux/arm64";
  return "linux/" + machine;
}

base::Result<std::vector<Descriptor>> choose_children(const ManifestView& index, const std::string& platform) {
  const auto& children = index.children;
  const bool by_platform =
      std::any_of(children.begin(), children.end(), [](const auto& child) { return !child.platform.empty(); });
  if (platform == "all" || !by_platform) return children;
  auto chosen = std::find_if(children.begin(), children.end(), [&](const auto& c) { return c.platform == platform; });
  if (chosen == children.end()) {
    chosen = std::find_if(children.begin(), children.end(), [&](const auto& c) { return fits(c.platform, platform); });
  }
  if (chosen != children.end()) return std::vector<Descriptor>{*chosen};
  std::string there;
  for (const auto& child : children) {
    if (!child.platform.empty()) there += (there.empty() ? "" : ", ") + child.platform;
  }
  return Error(ErrorKind::not_found, format("the image is not there for {}, only for {}", platform, there));
}

}  // namespace shoal::registry
