// What is pulled, and from where: "http://127.0.0.1:5000/library/alpine:3". Pure.
#pragma once

#include <string>
#include <string_view>

#include "shoal/base/result.h"

namespace shoal::bench {

struct Target {
  std::string url;         // "http://127.0.0.1:5000", without a path
  std::string repository;  // as after /v2/
  std::string reference;   // tag or digest
  [[nodiscard]] std::string text() const;
};

// http(s)://host[:port]/repository[:tag][@digest]; without a scheme https, and docker.io means
// https://registry-1.docker.io with its library/. With `image` the URL ends with the host, and what follows comes from
// there. "latest" when neither has a tag. ErrorKind::invalid says what is wrong; a user name in a URL is.
[[nodiscard]] base::Result<Target> parse_target(std::string_view text, std::string_view image);

}  // namespace shoal::bench
