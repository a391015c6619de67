#include "secret_keys.h"

#include <unistd.h>

#include <cerrno>

#include "secrets.h"
#include "shoal/base/format.h"

namespace shoal::app {

Secret read_secret(config::Section& section, std::string_view what, bool with_command, bool read) {
  using Source = base::Result<std::string> (*)(const std::string&);
  std::vector<std::pair<std::string, Source>> sources{{base::format("{}_file", what), secret_from_file},
                                                      {base::format("{}_env", what), secret_from_variable}};
  if (with_command) {
    sources.emplace_back(base::format("{}_command", what), [](const std::string& c) { return secret_from_command(c); });
  }
  Secret secret;
  for (const auto& [key, source] : sources) {
    const auto value = section.string(key, "");
    if (value.empty()) continue;
    if (secret.configured) {
      section.fail(key, base::format("there is another source of the {} already: one is enough", what));
      continue;
    }
    secret.configured = true;
    if (!read) continue;
    auto result = source(value);
    if (result) {
      secret.value = std::move(*result);
    } else {
      section.fail(key, result.error().message());
    }
  }
  return secret;
}

void demand_readable(config::Section& section, std::string_view key, const std::string& path, bool read) {
  if (read && !path.empty() && ::access(path.c_str(), R_OK) != 0) {
    section.fail(key, base::from_errno(errno, "read", path).message());
  }
}

}  // namespace shoal::app
