// The lines that make a client pull through this mirror, for `shoal client-config`. Pure text.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "shoal/base/result.h"

namespace shoal::app {

enum class Client { docker, containerd, podman, buildkit, k3s };
[[nodiscard]] std::optional<Client> parse_client(std::string_view name);

struct ClientConfigRequest {
  Client client = Client::docker;
  std::string mirror;                   // "http://host:5000": scheme and authority only, as every client takes it
  std::vector<std::string> registries;  // "docker.io", ...; at least one
};

struct ClientFile {
  std::string path;  // where it belongs on the client
  std::string text;  // its content, complete, with a final newline
};

struct ClientConfig {
  std::vector<ClientFile> files;
  std::vector<std::string> notes;  // one sentence each: what to restart, what this cannot do
};

[[nodiscard]] base::Result<ClientConfig> client_config(const ClientConfigRequest& request);

}  // namespace shoal::app
