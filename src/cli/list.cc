#include <cstdio>
#include <memory>

#include "command.h"
#include "shoal/base/format.h"

namespace shoal::cli {
namespace {

using nlohmann::json;

struct ListFlags {
  NodeFlags node;
  std::string repository;
};

void print_page(const json& page) {
  for (const auto& repository : page.value("repositories", json::array())) {
    const auto name = repository.value("name", std::string());
    const auto tags = repository.value("tags", json::array());
    const char* hosted = repository.value("hosted", false) ? "  (hosted)" : "";
    for (const auto& tag : tags) std::printf("%s:%s%s\n", name.c_str(), tag.get<std::string>().c_str(), hosted);
    if (tags.empty()) std::printf("%s%s\n", name.c_str(), hosted);
    if (repository.value("more_tags", false))
      std::printf("%s: more tags, see: shoal list %s\n", name.c_str(), name.c_str());
  }
  for (const auto& tag : page.value("tags", json::array())) {
    std::printf("%s:%s  %s  checked %s\n", page.value("repository", std::string()).c_str(),
                tag.value("tag", std::string()).c_str(), tag.value("digest", std::string()).c_str(),
                tag.value("checked", std::string()).c_str());
  }
}

// All pages as one object of the first page's form.
int list(const ListFlags& flags) {
  NodeFlags plain = flags.node;
  plain.json = false;
  const std::string key = flags.repository.empty() ? "repositories" : "tags";
  const std::string path =
      flags.repository.empty() ? "/api/v1/images" : "/api/v1/images/" + percent_encode(flags.repository, true);
  json all;
  std::string last;
  do {
    int code = kFailed;
    auto page = ask_json(plain, "GET", base::format("{}?n=500&last={}", path, percent_encode(last, false)), code);
    if (!page) return code;
    last = page->value("next", std::string());
    if (!flags.node.json) {
      print_page(*page);
    } else if (all.is_null()) {
      all = std::move(*page);
    } else {
      for (auto& item : (*page)[key]) all[key].push_back(std::move(item));
    }
  } while (!last.empty());
  if (flags.node.json) {
    all.erase("next");
    std::printf("%s\n", all.dump(2, ' ', false, json::error_handler_t::replace).c_str());
  }
  return kFine;
}

}  // namespace

void add_list(CLI::App& app, Run& run) {
  auto* command = app.add_subcommand("list", "Lists the images a running node holds");
  command->footer(
      "Example:\n  shoal list\n  shoal list docker.io/library/nginx\n\n"
      "Repositories that live here, not only in the cache, are marked.");
  auto flags = std::make_shared<ListFlags>();  // shared: lives as long as CLI11's callback
  command->add_option("repository", flags->repository, "Only the tags of this one: docker.io/library/nginx");
  add_node_flags(*command, flags->node);
  command->callback([flags, &run] { run = [flags] { return list(*flags); }; });
}

}  // namespace shoal::cli
