// Keys of the configuration that lead to secrets and files. They block; see secrets.h.
#pragma once

#include <string>
#include <string_view>

#include "shoal/config/reader.h"

namespace shoal::app {

struct Secret {
  bool configured = false;
  std::string value;  // "" unless it was to be read, and could be
};

// One secret, from at most one of its sources: <what>_file, <what>_env and, `with_command`, <what>_command.
[[nodiscard]] Secret read_secret(config::Section& section, std::string_view what, bool with_command, bool read);

void demand_readable(config::Section& section, std::string_view key, const std::string& path, bool read);

}  // namespace shoal::app
