// The query of a request that changes something. A misspelt parameter, a flag that is neither 1 nor 0, or the same one
// twice is a mistake, never ignored: the request would do more than was meant. Pure.
#pragma once

#include <initializer_list>
#include <map>
#include <string>
#include <string_view>

#include "shoal/base/result.h"

namespace shoal::admin {

class Query {
 public:
  // `flags` are 1 or 0 (true, false); `texts` anything but empty.
  [[nodiscard]] static base::Result<Query> parse(std::string_view text, std::initializer_list<std::string_view> flags,
                                                 std::initializer_list<std::string_view> texts = {});
  [[nodiscard]] bool flag(std::string_view name) const;
  [[nodiscard]] std::string text(std::string_view name) const;  // "" when it was not given

 private:
  std::map<std::string, std::string, std::less<>> values_;
};

}  // namespace shoal::admin
