// Settings from a text, without an environment, and what was wrong with it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "shoal/app/settings.h"

namespace shoal::app {

inline LoadedSettings load(std::string_view yaml, std::vector<std::string> overrides = {}, bool read_secrets = true) {
  SettingsSource source;
  source.file = "shoal.yml";
  source.overrides = std::move(overrides);
  source.environment = {};
  source.read_secrets = read_secrets;
  return load_settings(source, yaml);
}

inline LoadedSettings load_without_secrets(std::string_view yaml) { return load(yaml, {}, /*read_secrets=*/false); }

inline std::string all(const std::vector<std::string>& lines) {
  std::string text;
  for (const auto& line : lines) text += line + "\n";
  return text;
}

inline std::string all(const LoadedSettings& loaded) { return all(loaded.errors); }

}  // namespace shoal::app
