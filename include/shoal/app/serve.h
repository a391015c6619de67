// serve(): a whole node, from its configuration to its end. Blocks; call it from main, before any thread is started.
#pragma once

#include <string>

#include "shoal/app/settings.h"

namespace shoal::app {

struct ServeRequest {
  SettingsSource source;
  std::string port_file;  // "": none. Gets a line "ip:port" for each listener, the admin's last
  std::string version;
};

// Until SIGTERM or SIGINT. 0: it ran and stopped as told; 1: it could not start (the log, or stderr, says why).
[[nodiscard]] int serve(const ServeRequest& request);

}  // namespace shoal::app
