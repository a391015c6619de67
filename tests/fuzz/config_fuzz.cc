// A configuration file, and a first line of overrides: "a.b=c;d=e". Problems are fine, crashes and endless work are
// not.
#include <chrono>

#include "shoal/config/reader.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace shoal;
  std::string_view text(reinterpret_cast<const char*>(data), size);
  config::Sources sources{.file = "fuzz.yml"};
  if (text.starts_with('!')) {
    const std::size_t line = text.find('\n');
    sources.sets.emplace_back(text.substr(1, line == std::string_view::npos ? line : line - 1));
    sources.environment.emplace_back("SHOAL_STORAGE_PATH", sources.sets.back());
    text.remove_prefix(line == std::string_view::npos ? text.size() : line + 1);
  }
  config::Reader reader(std::move(sources), text);
  config::Section root = reader.root();
  config::Section storage = root.section("storage");
  (void)storage.string("path", "x");
  (void)storage.size("max_size", 1);
  (void)storage.duration("wait", std::chrono::seconds(1));
  (void)storage.percent("mark", 1);
  (void)storage.integer("count", 1, {0, 9});
  (void)storage.boolean("keep", true);
  (void)root.list("listen", {});
  (void)root.choice<int>("level", 1, {{"a", 1}, {"b", 2}});
  (void)root.section("hosts").strings();
  for (auto& [name, upstream] : root.section("upstreams").sections())
    (void)upstream.duration("ttl", std::chrono::seconds(1));
  for (const auto& problem : reader.finish().errors) (void)config::to_string(problem);
  return 0;
}
