// Secrets from where the configuration says they are. Blocks (files, a command of up to 10 s): never on a loop.
// What went wrong never repeats the secret.
#pragma once

#include <chrono>
#include <string>

#include "shoal/base/result.h"

namespace shoal::app {

// A trailing newline is trimmed; empty, longer than 64 KiB or with control bytes inside is an error.
[[nodiscard]] base::Result<std::string> secret_from_file(const std::string& path);
[[nodiscard]] base::Result<std::string> secret_from_variable(const std::string& name);
// `command` runs in /bin/sh; its output is the secret. It is killed when it takes longer.
[[nodiscard]] base::Result<std::string> secret_from_command(
    const std::string& command, std::chrono::milliseconds timeout = std::chrono::seconds(10));

}  // namespace shoal::app
