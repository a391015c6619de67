// What the subcommands share: exit codes, common flags, finding and loading the configuration, talking to a node.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "shoal/app/settings.h"
#include "shoal/base/result.h"

namespace shoal::cli {

inline constexpr int kFine = 0;
inline constexpr int kFailed = 1;
inline constexpr int kWrongUse = 2;

// Set by the subcommand that was chosen; main runs it after parsing.
using Run = std::function<int()>;

struct ConfigFlags {
  std::string file;              // --config
  std::vector<std::string> set;  // --set key=value
};
void add_config_flags(CLI::App& command, ConfigFlags& flags);

// --config, else $SHOAL_CONFIG, else /etc/shoal/shoal.yml if it is there, else "" (the built-in defaults).
[[nodiscard]] std::string find_config(const ConfigFlags& flags);
[[nodiscard]] app::SettingsSource settings_source(const ConfigFlags& flags);
void print_errors(const std::vector<std::string>& errors);

struct NodeFlags {
  ConfigFlags config;
  std::string admin;  // --admin URL
  bool json = false;
};
void add_node_flags(CLI::App& command, NodeFlags& flags);

// One request to the node's admin API. An answer other than 2xx is an Error with the node's own words.
[[nodiscard]] base::Result<std::string> ask_node(const NodeFlags& flags, std::string_view method,
                                                 const std::string& path,
                                                 std::chrono::milliseconds patience = std::chrono::seconds(60));
// The same for JSON; prints the error, or with --json the answer itself (then nullopt and `code` is set).
[[nodiscard]] std::optional<nlohmann::json> ask_json(const NodeFlags& flags, std::string_view method,
                                                     const std::string& path, int& code,
                                                     std::chrono::milliseconds patience = std::chrono::seconds(60));
[[nodiscard]] std::string percent_encode(std::string_view text, bool keep_slashes);

[[nodiscard]] std::string human_bytes(std::uint64_t bytes);
[[nodiscard]] std::string human_time(std::uint64_t seconds);                        // "2 d 3 h", "14 min", "9 s"
[[nodiscard]] std::uint64_t number(const nlohmann::json& object, const char* key);  // 0 when it is not there
void print_json(const nlohmann::json& value);
// What a dry run says of content that nothing needs but that is too young; nothing if there is none.
void print_grace(const nlohmann::json& forecast);

void add_serve(CLI::App& app, Run& run);
void add_check(CLI::App& app, Run& run);
void add_status(CLI::App& app, Run& run);
void add_list(CLI::App& app, Run& run);
void add_show(CLI::App& app, Run& run);
void add_rm(CLI::App& app, Run& run);
void add_gc(CLI::App& app, Run& run);
void add_pin(CLI::App& app, Run& run);
void add_pull(CLI::App& app, Run& run);
void add_bench(CLI::App& app, Run& run);
void add_scrub(CLI::App& app, Run& run);
void add_hash_password(CLI::App& app, Run& run);
void add_client_config(CLI::App& app, Run& run);
void add_version(CLI::App& app, Run& run);

}  // namespace shoal::cli
