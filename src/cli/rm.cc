#include <cstdio>
#include <memory>

#include "command.h"
#include "image_name.h"

namespace shoal::cli {
namespace {

constexpr std::chrono::seconds kUsualPatience{60};
constexpr std::chrono::hours kPatience{1};  // a dry run walks what the repository holds

struct RmFlags {
  NodeFlags node;
  std::vector<std::string> names;
  bool dry_run = false;
};

// The API path of what to remove; "" when the name makes no sense.
std::string path_of(const std::string& text) {
  if (text.starts_with("sha256:") || text.starts_with("sha512:")) return "/api/v1/blobs/" + percent_encode(text, true);
  const auto name = parse_image_name(text);
  if (!name || !name->digest.empty()) return {};
  auto path = "/api/v1/images/" + percent_encode(name->repository, true);
  if (!name->tag.empty()) path += "?tag=" + percent_encode(name->tag, false);
  return path;
}

using Count = unsigned long long;

void print_part(const nlohmann::json& reply, const char* blobs, const char* bytes, const char* why) {
  if (number(reply, blobs) == 0) return;
  std::printf("  stay: %llu blobs, %s: %s\n", static_cast<Count>(number(reply, blobs)),
              human_bytes(number(reply, bytes)).c_str(), why);
}

void print_other_tags(const nlohmann::json& reply) {
  std::string others;
  for (const auto& tag : reply.value("other_tags", nlohmann::json::array())) {
    if (tag.is_string()) others += (others.empty() ? "" : ", ") + tag.get<std::string>();
  }
  if (!others.empty()) std::printf("  other tags lead to the same image: %s\n", others.c_str());
}

// What garbage collections would do because of it.
void print_collection(const nlohmann::json& collection) {
  std::printf("  %s would then free %s (%llu bytes): %llu manifests, %llu blobs\n",
              collection.value("needs_untagged", false) ? "`shoal gc --untagged`" : "the next `shoal gc`",
              human_bytes(number(collection, "bytes")).c_str(), static_cast<Count>(number(collection, "bytes")),
              static_cast<Count>(number(collection, "manifests")), static_cast<Count>(number(collection, "blobs")));
  print_grace(collection);
  print_part(collection, "blobs_shared", "bytes_shared", "repositories show them still, or they are pinned");
}

void print_dry_run(const nlohmann::json& reply) {
  std::printf("would remove %s\n", reply.value("removed", std::string()).c_str());
  if (reply.contains("digest")) std::printf("  it leads to %s\n", reply.value("digest", std::string()).c_str());
  print_other_tags(reply);
  std::printf("  at once: %llu tags, %llu manifests, %llu blobs, %s (%llu bytes)\n",
              static_cast<Count>(number(reply, "tags")), static_cast<Count>(number(reply, "manifests")),
              static_cast<Count>(number(reply, "blobs")), human_bytes(number(reply, "bytes_freed")).c_str(),
              static_cast<Count>(number(reply, "bytes_freed")));
  if (const auto cached = reply.find("cached"); cached != reply.end()) {
    std::printf("  stay until eviction: %llu manifests, %llu blobs, %s\n",
                static_cast<Count>(number(*cached, "manifests")), static_cast<Count>(number(*cached, "blobs")),
                human_bytes(number(*cached, "bytes")).c_str());
  }
  if (const auto collection = reply.find("collection"); collection != reply.end()) print_collection(*collection);
  print_part(reply, "blobs_shared", "bytes_shared", "other repositories show them");
  print_part(reply, "blobs_pinned", "bytes_pinned", "they are pinned");
  print_part(reply, "blobs_in_use", "bytes_in_use", "somebody reads them; eviction's first choice afterwards");
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
  for (auto path : paths) {
    if (flags.dry_run) path += (path.find('?') == std::string::npos ? "?" : "&") + std::string("dry_run=1");
    int code = kFailed;
    if (const auto reply = ask_json(flags.node, "DELETE", path, code, flags.dry_run ? kPatience : kUsualPatience)) {
      if (flags.dry_run) {
        print_dry_run(*reply);
      } else {
        std::printf("removed %s\n", reply->value("removed", std::string()).c_str());
      }
    }
    worst = std::max(worst, code);
  }
  return worst;
}

}  // namespace

void add_rm(CLI::App& app, Run& run) {
  auto* command = app.add_subcommand("rm", "Removes a tag, a repository or a blob from a running node");
  command->footer(
      "Example:\n  shoal rm --dry-run team/app\n  shoal rm docker.io/library/nginx:latest\n  shoal rm "
      "docker.io/library/nginx\n"
      "  shoal rm team/app:1.0\n\n"
      "Mirrored: upstream is not touched, and the next pull fetches again. Hosted: a tag goes alone; with a whole\n"
      "repository its manifests go, too, and `shoal gc` frees what they held. What is in use stays, and the exit code "
      "is 1.");
  auto flags = std::make_shared<RmFlags>();  // shared: lives as long as CLI11's callback
  command->add_option("name", flags->names, "[registry/]repository:tag, [registry/]repository or sha256:...")
      ->required();
  command->add_flag("--dry-run", flags->dry_run, "Only say what would go, how much that frees, and what refuses");
  add_node_flags(*command, flags->node);
  command->callback([flags, &run] { run = [flags] { return remove(*flags); }; });
}

}  // namespace shoal::cli
