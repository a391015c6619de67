#include "shoal/app/client_config.h"

#include <unistd.h>

#include <cstdio>
#include <memory>

#include "command.h"

namespace shoal::cli {
namespace {

struct ClientConfigFlags {
  ConfigFlags config;
  std::string client;
  std::string mirror;
  std::vector<std::string> registries;
  bool json = false;
};

std::string own_url(const app::ServerSettings& server) {
  const std::string scheme = server.tls.cert_file.empty() ? "http://" : "https://";
  const auto& address = server.listen.front();
  if (address.ip != "0.0.0.0" && address.ip != "::") return scheme + address.to_string();
  char name[256] = {};
  if (::gethostname(name, sizeof name - 1) != 0) return scheme + "localhost:" + std::to_string(address.port);
  return scheme + std::string(name) + ":" + std::to_string(address.port);
}

// What the flags leave open comes from the configuration.
bool complete(const ClientConfigFlags& flags, app::ClientConfigRequest& request) {
  request.mirror = flags.mirror;
  request.registries = flags.registries;
  if (!request.mirror.empty() && !request.registries.empty()) return true;
  auto source = settings_source(flags.config);
  source.read_secrets = false;
  const auto loaded = app::load_settings(source);
  if (!loaded.settings) {
    print_errors(loaded.errors);
    return false;
  }
  if (request.mirror.empty()) request.mirror = own_url(loaded.settings->server);
  if (request.registries.empty()) {
    for (const auto& upstream : loaded.settings->upstreams) {
      if (!upstream.name.starts_with("*.")) request.registries.push_back(upstream.name);
    }
  }
  if (!request.registries.empty()) return true;
  std::fputs("shoal: the configuration names no registry that this node mirrors; --registry names one\n", stderr);
  return false;
}

void print(const app::ClientConfig& config, bool json) {
  if (json) {
    nlohmann::json answer{{"files", nlohmann::json::array()}, {"notes", config.notes}};
    for (const auto& [path, text] : config.files) answer["files"].push_back({{"path", path}, {"text", text}});
    std::printf("%s\n", answer.dump(2).c_str());
    return;
  }
  // Standard output is the snippet alone, so that it can be redirected when there is one file.
  const bool several = config.files.size() > 1;
  for (std::size_t i = 0; i < config.files.size(); ++i) {
    if (several) {
      std::printf("%s# %s\n", i == 0 ? "" : "\n", config.files[i].path.c_str());
    } else {
      std::fprintf(stderr, "# %s\n", config.files[i].path.c_str());
    }
    std::fflush(stderr);
    std::fputs(config.files[i].text.c_str(), stdout);
    std::fflush(stdout);
  }
  for (const auto& note : config.notes) std::fprintf(stderr, "# %s\n", note.c_str());
}

int client_config(const ClientConfigFlags& flags) {
  app::ClientConfigRequest request;
  request.client = *app::parse_client(flags.client);
  if (!complete(flags, request)) return kFailed;
  const auto config = app::client_config(request);
  if (!config) {
    std::fprintf(stderr, "shoal: %s\n", config.error().message().c_str());
    return kWrongUse;
  }
  print(*config, flags.json);
  return kFine;
}

}  // namespace

void add_client_config(CLI::App& app, Run& run) {
  auto* command = app.add_subcommand("client-config", "Prints the lines that make a client pull through this mirror");
  command->footer(
      "Example:\n  shoal client-config containerd --mirror http://mirror.lan:5000 --registry docker.io ghcr.io\n"
      "  shoal client-config docker > /etc/docker/daemon.json");
  auto flags = std::make_shared<ClientConfigFlags>();  // shared: lives as long as CLI11's callback
  command->add_option("client", flags->client, "docker, containerd, podman, buildkit or k3s")
      ->required()
      ->check([](const std::string& name) {
        return app::parse_client(name) ? std::string() : "is docker, containerd, podman, buildkit or k3s, not " + name;
      });
  command->add_option("--mirror", flags->mirror, "The mirror's URL (default: server.listen of the configuration)");
  command->add_option("--registry", flags->registries, "Registries to mirror (default: the configured upstreams)");
  command->add_flag("--json", flags->json, "Print files and notes as JSON");
  add_config_flags(*command, flags->config);
  command->callback([flags, &run] { run = [flags] { return client_config(*flags); }; });
}

}  // namespace shoal::cli
