// "docker.io/library/nginx:1", "...@sha256:...", or a repository alone, as the operator writes it; a hosted one is
// "team/app". Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace shoal::cli {

struct ImageName {
  std::string repository;  // canonical: with its registry unless hosted
  std::string tag;         // one of the two, or none
  std::string digest;
};
[[nodiscard]] std::optional<ImageName> parse_image_name(std::string_view text);

}  // namespace shoal::cli
