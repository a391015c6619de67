#include <cstdio>
#include <memory>

#include "command.h"
#include "spinner.h"

namespace shoal::cli {
namespace {

struct GcFlags {
  NodeFlags node;
  bool dry_run = false;
  bool untagged = false;
};

unsigned long long count(const nlohmann::json& reply, const char* key) { return number(reply, key); }

void print_names(const nlohmann::json& reply, const char* key, unsigned long long all) {
  unsigned long long printed = 0;
  for (const auto& name : reply.value(key, nlohmann::json::array())) {
    if (!name.is_string()) continue;
    std::printf("  %s\n", name.get<std::string>().c_str());
    ++printed;
  }
  if (printed < all) std::printf("  and %llu more\n", all - printed);
}

// What only a dry run knows.
void print_what_stays(const nlohmann::json& reply) {
  if (const auto shared = count(reply, "blobs_shared"); shared > 0) {
    std::printf("  stay: %llu blobs, %s, that repositories show still, or that are pinned\n", shared,
                human_bytes(number(reply, "bytes_shared")).c_str());
  }
  print_grace(reply);
}

void print(const nlohmann::json& reply, bool dry_run) {
  const char* would = dry_run ? "would remove" : "removed";
  if (const auto tags = count(reply, "tags_removed"); tags > 0) {
    std::printf("%s %llu tags that no retention rule keeps:\n", would, tags);
    print_names(reply, "tags", tags);
  }
  const auto manifests = count(reply, "manifests_removed");
  std::printf("%s %llu manifests, %llu links to blobs, %llu blobs and %llu abandoned uploads of %llu repositories\n",
              would, manifests, count(reply, "links_removed"), count(reply, "blobs_removed"),
              count(reply, "uploads_removed"), count(reply, "repositories"));
  if (dry_run) print_names(reply, "manifests", manifests);
  if (const auto empty = count(reply, "repositories_removed"); empty > 0) {
    std::printf("%s %llu empty repositories from the list\n", would, empty);
  }
  std::printf("%s %s (%llu bytes)\n", dry_run ? "would free" : "freed",
              human_bytes(number(reply, "bytes_freed")).c_str(), count(reply, "bytes_freed"));
  if (dry_run) print_what_stays(reply);
}

int collect(const GcFlags& flags) {
  std::string path = "/api/v1/gc?dry_run=";
  path += flags.dry_run ? "1" : "0";
  if (flags.untagged) path += "&untagged=1";
  int code = kFailed;
  std::optional<nlohmann::json> reply;
  {
    const Spinner spinner(flags.dry_run ? "looking for garbage" : "collecting garbage");
    reply = ask_json(flags.node, "POST", path, code, std::chrono::hours(24));
  }
  if (!reply) return code;
  print(*reply, flags.dry_run);
  return kFine;
}

}  // namespace

void add_gc(CLI::App& app, Run& run) {
  auto* command = app.add_subcommand("gc", "Removes what no image of a hosted repository needs any more");
  command->footer(
      "Example:\n  shoal gc --dry-run\n  shoal gc --untagged\n\n"
      "Retention rules (registry.retention) take their tags away first, in a dry run too: it counts their images.\n"
      "Runs beside pushes and pulls. What was pushed within registry.gc_grace stays. The cache is not touched: it\n"
      "keeps to its size by itself.");
  auto flags = std::make_shared<GcFlags>();  // shared: lives as long as CLI11's callback
  command->add_flag("--dry-run", flags->dry_run, "Only say what would go, how much that is, and what stays");
  command->add_flag("--untagged", flags->untagged, "Also manifests without a tag (default: registry.gc_untagged)");
  add_node_flags(*command, flags->node);
  command->callback([flags, &run] { run = [flags] { return collect(*flags); }; });
}

}  // namespace shoal::cli
