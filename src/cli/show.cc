#include <cstdio>
#include <memory>

#include "command.h"
#include "image_name.h"
#include "shoal/base/format.h"

namespace shoal::cli {
namespace {

using nlohmann::json;

void print_children(const json& children, const std::string& indent) {
  for (const auto& child : children) {
    std::string line = base::format("{}{} {:>10}  {}  {}", indent, child.value("held", false) ? "held   " : "missing",
                                    human_bytes(child.value("size", std::uint64_t{0})),
                                    child.value("digest", std::string()), child.value("media_type", std::string()));
    if (child.contains("platform")) line += "  " + child.value("platform", std::string());
    std::printf("%s\n", line.c_str());
    if (child.contains("children")) print_children(child["children"], indent + "  ");
  }
}

void print(const json& image) {
  std::printf("%s\n", image.value("repository", std::string()).c_str());
  if (image.contains("tag")) {
    std::printf("tag %s, fetched %s, checked %s\n", image.value("tag", std::string()).c_str(),
                image.value("fetched", std::string()).c_str(), image.value("checked", std::string()).c_str());
  }
  std::printf("%s  %s  %s\n", image.value("digest", std::string()).c_str(),
              human_bytes(image.value("size", std::uint64_t{0})).c_str(),
              image.value("media_type", std::string()).c_str());
  std::printf("held %s of %s\n", human_bytes(image.value("held_bytes", std::uint64_t{0})).c_str(),
              human_bytes(image.value("named_bytes", std::uint64_t{0})).c_str());
  print_children(image.value("children", json::array()), "  ");
}

struct ShowFlags {
  NodeFlags node;
  std::string image;
};

int show(const ShowFlags& flags) {
  const auto name = parse_image_name(flags.image);
  if (!name) {
    std::fprintf(stderr, "shoal: '%s' is no image name with its registry, such as docker.io/library/nginx:latest\n",
                 flags.image.c_str());
    return kWrongUse;
  }
  const auto reference = !name->digest.empty() ? "digest=" + name->digest
                                               : "tag=" + (name->tag.empty() ? std::string("latest") : name->tag);
  int code = kFailed;
  const auto image =
      ask_json(flags.node, "GET", "/api/v1/images/" + percent_encode(name->repository, true) + "?" + reference, code);
  if (image) print(*image);
  return code;
}

}  // namespace

void add_show(CLI::App& app, Run& run) {
  auto* command = app.add_subcommand("show", "Shows one image: its manifest, its layers, and which of them are held");
  command->footer("Example:\n  shoal show docker.io/library/nginx:latest");
  auto flags = std::make_shared<ShowFlags>();  // shared: lives as long as CLI11's callback
  command->add_option("image", flags->image, "registry/repository:tag or registry/repository@digest")->required();
  add_node_flags(*command, flags->node);
  command->callback([flags, &run] { run = [flags] { return show(*flags); }; });
}

}  // namespace shoal::cli
