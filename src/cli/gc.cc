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

unsigned long long number(const nlohmann::json& reply, const char* key) {
  return reply.value(key, static_cast<std::uint64_t>(0));
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
  const char* would = flags.dry_run ? "would remove" : "removed";
  const char* free = flags.dry_run ? "would free" : "freed";
  if (const auto tags = number(*reply, "tags_removed"); tags > 0) {
    std::printf("%s %llu tags that no retention rule keeps:\n", would, tags);
    for (const auto& name : reply->value("tags", nlohmann::json::array())) {
      if (name.is_string()) std::printf("  %s\n", name.get<std::string>().c_str());
    }
  }
  std::printf("%s %llu manifests, %llu links to blobs, %llu blobs and %llu abandoned uploads of %llu repositories\n",
              would, number(*reply, "manifests_removed"), number(*reply, "links_removed"),
              number(*reply, "blobs_removed"), number(*reply, "uploads_removed"), number(*reply, "repositories"));
  std::printf("%s %s (%llu bytes)\n", free, human_bytes(number(*reply, "bytes_freed")).c_str(),
              number(*reply, "bytes_freed"));
  return kFine;
}

}  // namespace

void add_gc(CLI::App& app, Run& run) {
  auto* command = app.add_subcommand("gc", "Removes what no image of a hosted repository needs any more");
  command->footer(
      "Example:\n  shoal gc --dry-run\n  shoal gc --untagged\n\n"
      "Retention rules (registry.retention) take their tags away first; a dry run does not count what that would "
      "free.\n"
      "Runs beside pushes and pulls. What was pushed within registry.gc_grace stays. The cache is not touched: it\n"
      "keeps to its size by itself.");
  auto flags = std::make_shared<GcFlags>();  // shared: lives as long as CLI11's callback
  command->add_flag("--dry-run", flags->dry_run, "Only say what would go");
  command->add_flag("--untagged", flags->untagged, "Also manifests without a tag (default: registry.gc_untagged)");
  add_node_flags(*command, flags->node);
  command->callback([flags, &run] { run = [flags] { return collect(*flags); }; });
}

}  // namespace shoal::cli
