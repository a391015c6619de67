#include "shoal/app/client_config.h"

#include <algorithm>
#include <array>

#include "shoal/base/format.h"
#include "shoal/registry/name.h"

namespace shoal::app {
namespace {

using base::format;

struct MirrorUrl {
  std::string url;        // "http://host:5000"
  std::string authority;  // "host:5000"
  bool plain = false;     // http
  bool loopback = false;
};

base::Result<MirrorUrl> parse_mirror(std::string_view text) {
  MirrorUrl mirror;
  if (text.ends_with('/')) text.remove_suffix(1);
  mirror.url = text;
  if (text.starts_with("http://")) {
    mirror.plain = true;
    text.remove_prefix(7);
  } else if (text.starts_with("https://")) {
    text.remove_prefix(8);
  } else {
    return base::Error(base::ErrorKind::invalid, format("mirror URL '{}': must begin with http:// or https://", text));
  }
  const auto ok = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view(".-_:[]").find(c) != std::string_view::npos;
  };
  if (text.empty() || !std::all_of(text.begin(), text.end(), ok)) {
    return base::Error(base::ErrorKind::invalid,
                       "mirror URL: give scheme, host and port only (http://host:5000): several clients refuse a path");
  }
  mirror.authority = text;
  mirror.loopback = text.starts_with("127.") || text.starts_with("localhost") || text.starts_with("[::1]");
  return mirror;
}

// The address a client goes to when the mirror has no answer.
std::string server_of(std::string_view registry) {
  return registry == "docker.io" ? "https://registry-1.docker.io" : format("https://{}", registry);
}

ClientConfig for_docker(const MirrorUrl& mirror, const std::vector<std::string>& registries) {
  ClientConfig config;
  std::string text = format("{{\n  \"registry-mirrors\": [\"{}\"]", mirror.url);
  if (mirror.plain && !mirror.loopback) text += format(",\n  \"insecure-registries\": [\"{}\"]", mirror.authority);
  config.files.push_back({"/etc/docker/daemon.json", text + "\n}\n"});
  config.notes.emplace_back("Merge it with what the file holds, then: systemctl restart docker");
  for (const auto& registry : registries) {
    if (registry == "docker.io") continue;
    config.notes.push_back(
        format("registry-mirrors is for docker.io only. From {0} pull by the mirror's address: {1}/{0}/<name>",
               registry, mirror.authority));
  }
  return config;
}

ClientConfig for_containerd(const MirrorUrl& mirror, const std::vector<std::string>& registries) {
  ClientConfig config;
  for (const auto& registry : registries) {
    config.files.push_back({format("/etc/containerd/certs.d/{}/hosts.toml", registry),
                            format("server = \"{}\"\n\n[host.\"{}\"]\n  capabilities = [\"pull\", \"resolve\"]\n",
                                   server_of(registry), mirror.url)});
  }
  config.notes.emplace_back(
      "Kubernetes reads it once /etc/containerd/config.toml has: [plugins.\"io.containerd.grpc.v1.cri\".registry] "
      "config_path = \"/etc/containerd/certs.d\"");
  config.notes.emplace_back("ctr: ctr images pull --hosts-dir /etc/containerd/certs.d <image>");
  return config;
}

ClientConfig for_podman(const MirrorUrl& mirror, const std::vector<std::string>& registries) {
  ClientConfig config;
  std::string text;
  for (const auto& registry : registries) {
    if (!text.empty()) text += "\n";
    text +=
        format("[[registry]]\nprefix = \"{0}\"\nlocation = \"{0}\"\n\n[[registry.mirror]]\nlocation = \"{1}/{0}\"\n",
               registry, mirror.authority);
    if (mirror.plain) text += "insecure = true\n";
  }
  config.files.push_back({"/etc/containers/registries.conf.d/shoal.conf", text});
  config.notes.emplace_back("Podman, Buildah, Skopeo and CRI-O read this file; CRI-O after: systemctl reload crio");
  return config;
}

ClientConfig for_buildkit(const MirrorUrl& mirror, const std::vector<std::string>& registries) {
  ClientConfig config;
  std::string text;
  for (const auto& registry : registries) {
    text += format("[registry.\"{0}\"]\n  mirrors = [\"{1}/{0}\"]\n\n", registry, mirror.authority);
  }
  if (mirror.plain) {
    text += format("[registry.\"{}\"]\n  http = true\n", mirror.authority);
  } else {
    text.pop_back();
  }
  config.files.push_back({"/etc/buildkit/buildkitd.toml", text});
  config.notes.emplace_back("For docker buildx: docker buildx create --config buildkitd.toml --use");
  return config;
}

ClientConfig for_k3s(const MirrorUrl& mirror, const std::vector<std::string>& registries) {
  ClientConfig config;
  std::string text = "mirrors:\n";
  for (const auto& registry : registries) {
    text += format("  \"{}\":\n    endpoint:\n      - \"{}\"\n", registry, mirror.url);
  }
  config.files.push_back({"/etc/rancher/k3s/registries.yaml", text});
  config.notes.emplace_back("Then: systemctl restart k3s (on agents: k3s-agent)");
  return config;
}

}  // namespace

std::optional<Client> parse_client(std::string_view name) {
  static constexpr std::array<std::pair<std::string_view, Client>, 5> kNames{{{"docker", Client::docker},
                                                                              {"containerd", Client::containerd},
                                                                              {"podman", Client::podman},
                                                                              {"buildkit", Client::buildkit},
                                                                              {"k3s", Client::k3s}}};
  for (const auto& [known, client] : kNames) {
    if (known == name) return client;
  }
  return std::nullopt;
}

base::Result<ClientConfig> client_config(const ClientConfigRequest& request) {
  const auto mirror = parse_mirror(request.mirror);
  if (!mirror) return mirror.error();
  if (request.registries.empty()) return base::Error(base::ErrorKind::invalid, "name at least one registry");
  for (const auto& registry : request.registries) {
    if (!registry::valid_registry_host(registry)) {
      return base::Error(base::ErrorKind::invalid, format("'{}' is not a registry's host name", registry));
    }
  }
  switch (request.client) {
    case Client::docker: return for_docker(*mirror, request.registries);
    case Client::containerd: return for_containerd(*mirror, request.registries);
    case Client::podman: return for_podman(*mirror, request.registries);
    case Client::buildkit: return for_buildkit(*mirror, request.registries);
    case Client::k3s: return for_k3s(*mirror, request.registries);
  }
  return base::Error(base::ErrorKind::bug, "unknown client");
}

}  // namespace shoal::app
