#include <cstdio>
#include <memory>

#include "command.h"
#include "image_name.h"

namespace shoal::cli {
namespace {

struct RmFlags {
  NodeFlags node;
  std::vector<std::string> names;
};

// The API path of what to remove; "" when the name makes no sense.
std::string path_of(const std::string& text) {
  if (text.starts_with("sha256:") || text.starts_with("sha512:")) return "/api/v1/blobs/" + percent_encode(text, true);
  const auto name = parse_image_name(text);
  if (!name || !name->digest.empty()) return {};
  auto path = "/api/v1/images/" + percent_encode(name->repository, true);
  if (!name->tag.empty()) path += "?tag=" + name->tag;
  return path;
}

int remove(const RmFlags& flags) {
  std::vector<std::string> paths;
  for (const auto& name : flags.names) {
    paths.push_back(path_of(name));
    if (!paths.back().empty()) continue;
    std::fprintf(stderr,
                 "shoal: '%s': give [registry/]repository:tag, [registry/]repository (all of it) or a blob's digest\n",
                 name.c_str());
    return kWrongUse;  // before anything is removed
  }
  int worst = kFine;
  for (const auto& path : paths) {
    int code = kFailed;
    if (const auto reply = ask_json(flags.node, "DELETE", path, code)) {
      std::printf("removed %s\n", reply->value("removed", std::string()).c_str());
    }
    worst = std::max(worst, code);
  }
  return worst;
}

}  // namespace

void add_rm(CLI::App& app, Run& run) {
  auto* command = app.add_subcommand("rm", "Removes a tag, a repository or a blob from a running node");
  command->footer(
      "Example:\n  shoal rm docker.io/library/nginx:latest\n  shoal rm docker.io/library/nginx\n"
      "  shoal rm team/app:1.0\n\n"
      "Mirrored: upstream is not touched, and the next pull fetches again. Hosted: a tag goes alone; with a whole\n"
      "repository its manifests go, too, and `shoal gc` frees what they held. A blob in use is refused.");
  auto flags = std::make_shared<RmFlags>();  // shared: lives as long as CLI11's callback
  command->add_option("name", flags->names, "[registry/]repository:tag, [registry/]repository or sha256:...")
      ->required();
  add_node_flags(*command, flags->node);
  command->callback([flags, &run] { run = [flags] { return remove(*flags); }; });
}

}  // namespace shoal::cli
