#include <cstdio>
#include <memory>
#include <sstream>

#include "command.h"

#ifndef SHOAL_LIBRARIES  // "libuv 1.44.2, lmdb 0.9.24, ...", from CMake
#define SHOAL_LIBRARIES ""
#endif

namespace shoal::cli {
namespace {

int version(bool json) {
  const std::string libraries = SHOAL_LIBRARIES;
  if (!json) {
    std::printf("shoal %s\n%s\n", SHOAL_VERSION, libraries.c_str());
    return kFine;
  }
  nlohmann::json answer{{"version", SHOAL_VERSION}, {"libraries", nlohmann::json::object()}};
  std::istringstream items(libraries);
  std::string name, number;
  while (items >> name >> number) {
    if (number.ends_with(',')) number.pop_back();
    answer["libraries"][name] = number;
  }
  std::printf("%s\n", answer.dump(2).c_str());
  return kFine;
}

}  // namespace

void add_version(CLI::App& app, Run& run) {
  auto* command = app.add_subcommand("version", "Prints the version of shoal and of the libraries it was built with");
  command->footer("Example:\n  shoal version --json");
  auto json = std::make_shared<bool>(false);  // shared: lives as long as CLI11's callback
  command->add_flag("--json", *json, "Print as JSON");
  command->callback([json, &run] { run = [json] { return version(*json); }; });
}

}  // namespace shoal::cli
