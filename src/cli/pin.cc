#include <algorithm>
#include <cstdio>
#include <memory>

#include "command.h"
#include "image_name.h"
#include "shoal/base/digest.h"
#include "shoal/base/format.h"

namespace shoal::cli {
namespace {

using nlohmann::json;
using Count = unsigned long long;

enum class Action { pin, unpin };

struct PinFlags {
  NodeFlags node;
  std::vector<std::string> names;
  bool dry_run = false;
  bool list = false;
  bool partial = false;
};

// What to ask for: errors to standard error, answers parsed whatever --json says.
NodeFlags plain(const PinFlags& flags) {
  NodeFlags node = flags.node;
  node.json = false;
  return node;
}

// The digest that the name means now; "" when it was said what is wrong, and `code` is set.
std::string resolve(const PinFlags& flags, const std::string& text, int& code) {
  if (base::Digest::parse(text).ok()) return text;
  const auto name = parse_image_name(text);
  if (!name) {
    std::fprintf(stderr, "shoal: '%s': give [registry/]repository:tag, ...@digest, or a digest\n", text.c_str());
    code = kWrongUse;
    return {};
  }
  if (!name->digest.empty()) return name->digest;
  const auto tag = name->tag.empty() ? std::string("latest") : name->tag;
  const auto reply =
      ask_json(plain(flags), "GET", "/api/v1/images/" + percent_encode(name->repository, true) + "?tag=" + tag, code);
  return reply ? reply->value("digest", std::string()) : std::string();
}

void print_object(const json& object, const char* before) {
  std::printf("  %s%-8s %10s  %s", before, object.value("kind", std::string()).c_str(),
              human_bytes(number(object, "size")).c_str(), object.value("digest", std::string()).c_str());
  if (object.contains("platform")) std::printf("  %s", object.value("platform", std::string()).c_str());
  std::printf("\n");
}

void print_objects(const json& reply, const char* key, Count all, const char* before) {
  const auto objects = reply.value(key, json::array());
  for (const auto& object : objects) print_object(object, before);
  if (objects.size() < all) std::printf("  and %llu more\n", all - objects.size());
}

void print(const json& reply, const std::string& digest, Action action, bool dry_run) {
  const bool pins = action == Action::pin;
  std::printf("%s %s: %llu objects, %s (%llu manifests, %llu blobs, %llu bytes)\n",
              dry_run ? (pins ? "would pin" : "would unpin") : (pins ? "pinned" : "unpinned"), digest.c_str(),
              static_cast<Count>(number(reply, "contents")), human_bytes(number(reply, "bytes")).c_str(),
              static_cast<Count>(number(reply, "manifests")), static_cast<Count>(number(reply, "blobs")),
              static_cast<Count>(number(reply, "bytes")));
  if (dry_run) print_objects(reply, "objects", number(reply, "contents"), "");
}

// What a missing manifest names is not known.
const char* at_least(const json& reply) {
  for (const auto& object : reply.value("missing", json::array())) {
    if (object.value("kind", std::string()) == "manifest") return "at least ";
  }
  return "";
}

// On standard output like the rest: it is what became of the pin.
void print_missing(const json& reply, const std::string& digest) {
  std::printf("INCOMPLETE %s: %llu objects, %s%s, are not here and not pinned; pull them and pin again\n",
              digest.c_str(), static_cast<Count>(number(reply, "missing_objects")), at_least(reply),
              human_bytes(number(reply, "missing_bytes")).c_str());
  print_objects(reply, "missing", number(reply, "missing_objects"), "missing ");
}

int apply_to(const PinFlags& flags, const std::string& name, Action action) {
  int code = kFailed;
  const auto digest = resolve(flags, name, code);
  if (digest.empty()) return code;
  const bool pins = action == Action::pin;
  auto path = "/api/v1/pins/" + percent_encode(digest, true) + (flags.dry_run ? "?dry_run=1" : "?dry_run=0");
  if (pins && name != digest) path += "&name=" + percent_encode(name, false);
  const auto reply = ask_json(plain(flags), pins ? "PUT" : "DELETE", path, code);
  if (!reply) return code;
  const bool complete = !pins || reply->value("complete", true);
  if (flags.node.json) {
    print_json(*reply);
  } else {
    print(*reply, digest, action, flags.dry_run);
    if (!complete) print_missing(*reply, digest);
  }
  return complete || flags.partial ? kFine : kFailed;
}

int apply(const PinFlags& flags, Action action) {
  if (flags.names.empty()) {
    std::fprintf(stderr, "shoal: which image? Give a name or a digest%s\n", action == Action::pin ? ", or --list" : "");
    return kWrongUse;
  }
  int worst = kFine;
  for (const auto& name : flags.names) worst = std::max(worst, apply_to(flags, name, action));
  return worst;
}

void print_pin(const json& pin) {
  const auto name = pin.value("name", std::string());
  std::printf("%s  %s  %10s  %s", pin.value("digest", std::string()).c_str(), pin.value("since", std::string()).c_str(),
              human_bytes(number(pin, "bytes")).c_str(), name.empty() ? "-" : name.c_str());
  if (const auto missing = number(pin, "missing_objects"); missing > 0 || number(pin, "contents") == 0) {
    std::printf("  INCOMPLETE: %llu objects, %s%s, are not here",
                static_cast<Count>(std::max<std::uint64_t>(missing, 1)), at_least(pin),
                human_bytes(number(pin, "missing_bytes")).c_str());
  }
  if (const auto loose = number(pin, "loose"); loose > 0) {
    std::printf("  INCOMPLETE: %llu blobs are here, but not pinned: pin it again", static_cast<Count>(loose));
  }
  std::printf("\n");
}

int list(const PinFlags& flags) {
  if (!flags.names.empty()) {
    std::fprintf(stderr, "shoal: --list takes no names\n");
    return kWrongUse;
  }
  json all{{"pins", json::array()}};
  std::string last;
  do {
    int code = kFailed;
    auto page = ask_json(plain(flags), "GET", "/api/v1/pins?last=" + percent_encode(last, false), code,
                         std::chrono::minutes(10));
    if (!page) return code;
    last = page->value("next", std::string());
    for (auto& pin : (*page)["pins"]) {
      if (!flags.node.json) print_pin(pin);
      all["pins"].push_back(std::move(pin));
    }
  } while (!last.empty());
  if (flags.node.json) {
    print_json(all);
  } else if (all["pins"].empty()) {
    std::printf("nothing is pinned\n");
  }
  const bool complete =
      std::all_of(all["pins"].begin(), all["pins"].end(), [](const json& pin) { return pin.value("complete", false); });
  return complete || flags.partial ? kFine : kFailed;
}

void add(CLI::App& app, Run& run, Action action) {
  const bool pins = action == Action::pin;
  auto* command = app.add_subcommand(pins ? "pin" : "unpin", pins ? "Keeps an image or a blob out of eviction's reach"
                                                                  : "Gives back to eviction what was pinned");
  command->footer(
      pins ? "Example:\n  shoal pin --dry-run docker.io/library/nginx:1.27\n"
             "  shoal pin docker.io/library/nginx:1.27\n  shoal pin --list\n\n"
             "Pins what is held here now: the manifest, those of its platforms and their blobs. If something\n"
             "of it is missing, that is said, and the exit code is 1; platforms that nobody pulled are missing\n"
             "too: --partial if that is fine. A tag that moves later is another image. Hosted repositories\n"
             "need no pins."
           : "Example:\n  shoal unpin docker.io/library/nginx:1.27\n\n"
             "Blobs that another pinned image shares lose their pin as well.");
  auto flags = std::make_shared<PinFlags>();  // shared: lives as long as CLI11's callback
  command->add_option("name", flags->names, "[registry/]repository:tag, ...@digest, or a digest");
  command->add_flag("--dry-run", flags->dry_run,
                    pins ? "Only say what would be pinned, how much that is, and what is missing"
                         : "Only say what would be given back");
  if (pins) {
    command->add_flag("--list", flags->list, "What is pinned, and whether all of it is here");
    command->add_flag("--partial", flags->partial, "That something is missing is fine: exit code 0");
  }
  add_node_flags(*command, flags->node);
  command->callback(
      [flags, action, &run] { run = [flags, action] { return flags->list ? list(*flags) : apply(*flags, action); }; });
}

}  // namespace

void add_pin(CLI::App& app, Run& run) {
  add(app, run, Action::pin);
  add(app, run, Action::unpin);
}

}  // namespace shoal::cli
