// Log lines with a category and a level; spdlog does the writing, off the event loops, through a bounded queue.
// Levels: error and warn: an operator must look; info: an operator acts on it; debug: everything a client can repeat.
#pragma once

#include <cstdint>
#include <string_view>

#include "shoal/base/format.h"

namespace shoal::obs {

enum class Level { trace, debug, info, warn, error };
enum class Category { app, http, store, fetch, upstream, mirror, serve, admin, notify, p2p };

struct LogOptions {
  Level level = Level::info;
  bool json = false;
  std::string_view file;  // "": stderr
};
// Before and after everything else; not thread-safe. Logging before start_log goes to stderr at once.
void start_log(const LogOptions& options);
void stop_log();                               // writes out what is queued
void reopen_log();                             // after logrotate; any thread
[[nodiscard]] std::uint64_t lost_log_lines();  // dropped because the queue was full
void set_level(Level level);                   // any thread
[[nodiscard]] Level parse_level(std::string_view name, Level fallback);

[[nodiscard]] bool enabled(Level level);
void write(Level level, Category category, std::string_view line);  // control bytes are escaped, 4 KiB at most

template <class... Args>
void log(Level level, Category category, fmt::format_string<Args...> text, Args&&... args) {
  if (enabled(level)) write(level, category, fmt::vformat(text, fmt::make_format_args(args...)));
}
template <class... Args>
void debug(Category category, fmt::format_string<Args...> text, Args&&... args) {
  log(Level::debug, category, text, std::forward<Args>(args)...);
}
template <class... Args>
void info(Category category, fmt::format_string<Args...> text, Args&&... args) {
  log(Level::info, category, text, std::forward<Args>(args)...);
}
template <class... Args>
void warn(Category category, fmt::format_string<Args...> text, Args&&... args) {
  log(Level::warn, category, text, std::forward<Args>(args)...);
}
template <class... Args>
void error(Category category, fmt::format_string<Args...> text, Args&&... args) {
  log(Level::error, category, text, std::forward<Args>(args)...);
}

}  // namespace shoal::obs
