#include <cstdio>
#include <memory>

#include "command.h"

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

int check(const CheckFlags& flags) {
  const auto source = settings_source(flags.config);
  const auto loaded = app::load_settings(source);
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
