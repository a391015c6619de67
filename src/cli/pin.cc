#include <algorithm>
#include <cstdio>
#include <memory>

#include "command.h"
#include "image_name.h"
#include "shoal/base/digest.h"

namespace shoal::cli {
namespace {

enum class Action { pin, unpin };

struct PinFlags {
  NodeFlags node;
  std::vector<std::string> names;
};

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
  NodeFlags plain = flags.node;
  plain.json = false;
  const auto tag = name->tag.empty() ? std::string("latest") : name->tag;
  const auto reply =
      ask_json(plain, "GET", "/api/v1/images/" + percent_encode(name->repository, true) + "?tag=" + tag, code);
  return reply ? reply->value("digest", std::string()) : std::string();
}

int apply(const PinFlags& flags, Action action) {
  int worst = kFine;
  for (const auto& name : flags.names) {
    int code = kFailed;
    const auto digest = resolve(flags, name, code);
    if (!digest.empty()) {
      const auto path = "/api/v1/pins/" + percent_encode(digest, true);
      const auto reply = ask_json(flags.node, action == Action::pin ? "PUT" : "DELETE", path, code);
      if (reply) {
        const auto contents = static_cast<unsigned long long>(reply->value("contents", static_cast<std::uint64_t>(0)));
        std::printf("%s %s: %llu objects, %s\n", action == Action::pin ? "pinned" : "unpinned", digest.c_str(),
                    contents, human_bytes(reply->value("bytes", static_cast<std::uint64_t>(0))).c_str());
      }
    }
    worst = std::max(worst, code);
  }
  return worst;
}

void add(CLI::App& app, Run& run, Action action) {
  const bool pins = action == Action::pin;
  auto* command = app.add_subcommand(pins ? "pin" : "unpin", pins ? "Keeps an image or a blob out of eviction's reach"
                                                                  : "Gives back to eviction what was pinned");
  command->footer(pins
                      ? "Example:\n  shoal pin docker.io/library/nginx:1.27\n  shoal pin sha256:4c7f...\n\n"
                        "Pins what is held here now: the manifest, those of its platforms and their blobs. A tag that\n"
                        "moves later is another image. Hosted repositories need no pins."
                      : "Example:\n  shoal unpin docker.io/library/nginx:1.27\n\n"
                        "Blobs that another pinned image shares lose their pin as well.");
  auto flags = std::make_shared<PinFlags>();  // shared: lives as long as CLI11's callback
  command->add_option("name", flags->names, "[registry/]repository:tag, ...@digest, or a digest")->required();
  add_node_flags(*command, flags->node);
  command->callback([flags, action, &run] { run = [flags, action] { return apply(*flags, action); }; });
}

}  // namespace

void add_pin(CLI::App& app, Run& run) {
  add(app, run, Action::pin);
  add(app, run, Action::unpin);
}

}  // namespace shoal::cli
