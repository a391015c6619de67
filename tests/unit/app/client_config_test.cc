#include "shoal/app/client_config.h"

#include <gtest/gtest.h>

namespace shoal::app {
namespace {

ClientConfig made(Client client, const std::string& mirror, std::vector<std::string> registries) {
  auto config = client_config({client, mirror, std::move(registries)});
  EXPECT_TRUE(config.ok()) << config.error().message();
  return config.ok() ? *config : ClientConfig{};
}

TEST(ClientConfig, DockerOnLoopback) {
  const auto config = made(Client::docker, "http://127.0.0.1:5000", {"docker.io"});
  ASSERT_EQ(config.files.size(), 1U);
  EXPECT_EQ(config.files[0].path, "/etc/docker/daemon.json");
  EXPECT_EQ(config.files[0].text, R"({
  "registry-mirrors": ["http://127.0.0.1:5000"]
}
)");
}

TEST(ClientConfig, DockerElsewhereWithPlainHttpNamesTheInsecureRegistryAndTellsWhatItCannotDo) {
  const auto config = made(Client::docker, "http://mirror.lan:5000/", {"docker.io", "ghcr.io"});
  EXPECT_EQ(config.files[0].text, R"({
  "registry-mirrors": ["http://mirror.lan:5000"],
  "insecure-registries": ["mirror.lan:5000"]
}
)");
  EXPECT_NE(config.notes.back().find("mirror.lan:5000/ghcr.io/<name>"), std::string::npos);
}

TEST(ClientConfig, ContainerdHasOneFileForEachRegistry) {
  const auto config = made(Client::containerd, "http://127.0.0.1:5000", {"docker.io", "ghcr.io"});
  ASSERT_EQ(config.files.size(), 2U);
  EXPECT_EQ(config.files[0].path, "/etc/containerd/certs.d/docker.io/hosts.toml");
  EXPECT_EQ(config.files[0].text, R"(server = "https://registry-1.docker.io"

[host."http://127.0.0.1:5000"]
  capabilities = ["pull", "resolve"]
)");
  EXPECT_EQ(config.files[1].path, "/etc/containerd/certs.d/ghcr.io/hosts.toml");
  EXPECT_EQ(config.files[1].text.substr(0, 26), "server = \"https://ghcr.io\"");
}

TEST(ClientConfig, PodmanPutsTheRegistryIntoThePath) {
  const auto config = made(Client::podman, "http://127.0.0.1:5000", {"docker.io", "quay.io"});
  ASSERT_EQ(config.files.size(), 1U);
  EXPECT_EQ(config.files[0].path, "/etc/containers/registries.conf.d/shoal.conf");
  EXPECT_EQ(config.files[0].text, R"([[registry]]
prefix = "docker.io"
location = "docker.io"

[[registry.mirror]]
location = "127.0.0.1:5000/docker.io"
insecure = true

[[registry]]
prefix = "quay.io"
location = "quay.io"

[[registry.mirror]]
location = "127.0.0.1:5000/quay.io"
insecure = true
)");
}

TEST(ClientConfig, Buildkit) {
  EXPECT_EQ(made(Client::buildkit, "http://127.0.0.1:5000", {"docker.io"}).files[0].text, R"([registry."docker.io"]
  mirrors = ["127.0.0.1:5000/docker.io"]

[registry."127.0.0.1:5000"]
  http = true
)");
  EXPECT_EQ(made(Client::buildkit, "https://m.lan", {"docker.io"}).files[0].text, R"([registry."docker.io"]
  mirrors = ["m.lan/docker.io"]
)");
}

TEST(ClientConfig, K3s) {
  EXPECT_EQ(made(Client::k3s, "https://mirror.lan:5000", {"docker.io", "ghcr.io"}).files[0].text, R"(mirrors:
  "docker.io":
    endpoint:
      - "https://mirror.lan:5000"
  "ghcr.io":
    endpoint:
      - "https://mirror.lan:5000"
)");
}

TEST(ClientConfig, RefusesWhatWouldBreakAFile) {
  for (const char* mirror :
       {"", "127.0.0.1:5000", "ftp://m", "http://", "http://m/path", "http://m\"x", "http://m\n"}) {
    EXPECT_FALSE(client_config({Client::k3s, mirror, {"docker.io"}}).ok()) << mirror;
  }
  for (const char* registry : {"", "no spaces", "a\"b", "../x"}) {
    EXPECT_FALSE(client_config({Client::k3s, "http://m:5000", {registry}}).ok()) << registry;
  }
  EXPECT_FALSE(client_config({Client::k3s, "http://m:5000", {}}).ok());
}

TEST(ClientConfig, ClientNames) {
  EXPECT_EQ(parse_client("podman"), Client::podman);
  EXPECT_EQ(parse_client("rkt"), std::nullopt);
}

}  // namespace
}  // namespace shoal::app
