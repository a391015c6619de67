#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <memory>

#include "command.h"
#include "shoal/base/error.h"

namespace shoal::cli {
namespace {

struct CheckFlags {
  ConfigFlags config;
  bool print = false;
  bool json = false;
};

std::string json_text(const app::LoadedSettings& loaded) {
  nlohmann::json values = nlohmann::json::array();
  for (const auto& [key, value, where] : loaded.values)
    values.push_back({{"key", key}, {"value", value}, {"where", where}});
  nlohmann::json report{{"ok", loaded.errors.empty()}, {"errors", loaded.errors}, {"warnings", loaded.warnings}};
  report["settings"] = std::move(values);
  return report.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

// What serve would run into, as far as the user of this command can tell; another one may be allowed more, or less.
std::string trouble_with(const std::filesystem::path& storage) {
  std::error_code ignored;
  auto there = storage;
  while (there.has_relative_path() && !std::filesystem::exists(there, ignored)) there = there.parent_path();
  if (there.empty()) there = ".";
  if (!std::filesystem::is_directory(there, ignored)) return there.string() + " is not a directory";
  if (::access(there.c_str(), W_OK | X_OK) == 0) return {};
  return base::from_errno(errno, "this user cannot write to " + there.string()).message();
}

int check(const CheckFlags& flags) {
  const auto source = settings_source(flags.config);
  auto loaded = app::load_settings(source);
  if (loaded.settings) {
    const auto trouble = trouble_with(loaded.settings->storage.path);
    if (!trouble.empty()) loaded.warnings.push_back("storage.path: " + trouble);
  }
  if (flags.json) {
    std::fputs(json_text(loaded).c_str(), stdout);
    return loaded.settings ? kFine : kFailed;
  }
  print_errors(loaded.errors);
  for (const auto& warning : loaded.warnings) std::fprintf(stderr, "warning: %s\n", warning.c_str());
  if (!loaded.settings) return kFailed;
  if (flags.print) {
    std::fputs(app::settings_text(loaded.values).c_str(), stdout);
  } else {
    std::printf("%s: fine\n", source.file.empty() ? "built-in defaults" : source.file.c_str());
  }
  return kFine;
}

}  // namespace

void add_check(CLI::App& app, Run& run) {
  auto* command = app.add_subcommand("check", "Checks a configuration, with the same code as serve");
  command->footer("Example:\n  shoal check --config /etc/shoal/shoal.yml\n  shoal check --print");
  auto flags = std::make_shared<CheckFlags>();  // shared: lives as long as CLI11's callback
  add_config_flags(*command, flags->config);
  command->add_flag("--print", flags->print, "Print what is in force, and where each value comes from");
  command->add_flag("--json", flags->json, "Print errors, warnings and values as JSON");
  command->callback([flags, &run] { run = [flags] { return check(*flags); }; });
}

}  // namespace shoal::cli
