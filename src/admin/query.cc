#include "query.h"

#include <algorithm>
#include <vector>

#include "shoal/base/format.h"
#include "shoal/registry/name.h"

namespace shoal::admin {
namespace {

bool contains(std::initializer_list<std::string_view> names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

base::Error mistake(std::string message) { return {base::ErrorKind::invalid, std::move(message)}; }

base::Error unknown(std::string_view name, std::initializer_list<std::string_view> flags,
                    std::initializer_list<std::string_view> texts) {
  std::string known;
  for (const auto names : {texts, flags}) {
    for (const auto one : names) known += (known.empty() ? "" : ", ") + std::string(one);
  }
  return mistake(base::format("'{}' is no parameter of this; it takes: {}", name, known.empty() ? "none" : known));
}

}  // namespace

base::Result<Query> Query::parse(std::string_view text, std::initializer_list<std::string_view> flags,
                                 std::initializer_list<std::string_view> texts) {
  Query query;
  for (std::string_view rest = text; !rest.empty();) {
    const auto part = rest.substr(0, rest.find('&'));
    rest.remove_prefix(std::min(rest.size(), part.size() + 1));
    const auto name = part.substr(0, part.find('='));
    const bool is_flag = contains(flags, name);
    if (!is_flag && !contains(texts, name)) return unknown(name, flags, texts);
    const auto value = registry::query_value(part, name).value_or(std::string());
    if (is_flag && value != "1" && value != "true" && value != "0" && value != "false") {
      return mistake(base::format("{} is 1 or 0", name));
    }
    if (value.empty()) return mistake(base::format("{} is empty", name));
    if (!query.values_.emplace(name, value).second) return mistake(base::format("{} is there twice", name));
  }
  return query;
}

bool Query::flag(std::string_view name) const {
  const auto value = text(name);
  return value == "1" || value == "true";
}

std::string Query::text(std::string_view name) const {
  const auto found = values_.find(name);
  return found == values_.end() ? std::string() : found->second;
}

}  // namespace shoal::admin
