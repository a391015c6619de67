#include "shoal/obs/log.h"

#include <spdlog/async_logger.h>
#include <spdlog/details/thread_pool.h>
#include <spdlog/sinks/sink.h>

#include <array>
#include <atomic>
#include <chrono>
#include <memory>

#include "escape.h"
#include "line_file.h"
#include "time_text.h"

namespace shoal::obs {
namespace {

constexpr std::size_t kMaxLineBytes = 4096;
constexpr std::size_t kQueueLines = 4096;  // beyond, the oldest waiting line is lost

constexpr std::array<const char*, 10> kCategories{"app",    "http",  "store", "fetch",  "upstream",
                                                  "mirror", "serve", "admin", "notify", "p2p"};
constexpr std::array<const char*, 5> kLevels{"trace", "debug", "info", "warn", "error"};

std::atomic<Level> level_now{Level::info};

std::string format_line(std::chrono::system_clock::time_point at, std::string_view level, std::string_view category,
                        std::string_view text, bool json) {
  std::string line;
  line.reserve(text.size() + 64);
  if (json) {
    line.append(R"({"time":")");
    append_time(line, at);
    line.append(R"(","level":")").append(level).append(R"(","category":")").append(category).append(R"(","message":)");
    append_json(line, text);
    line.append("}\n");
  } else {
    append_time(line, at);
    line.append(" ").append(level).append(" ").append(category).append(": ");
    append_plain(line, text);
    line.push_back('\n');
  }
  return line;
}

// Writes on spdlog's thread. Not spdlog's own file sinks: those throw, and cannot be reopened after a rotation.
class LineSink final : public spdlog::sinks::sink {
 public:
  LineSink(std::string_view file, bool json) : file_(std::string(file)), json_(json) {}
  void log(const spdlog::details::log_msg& message) override {
    const std::string_view level = kLevels[static_cast<std::size_t>(message.level)];
    const std::string_view category(message.logger_name.data(), message.logger_name.size());
    const std::string_view text(message.payload.data(), message.payload.size());
    (void)file_.write(format_line(message.time, level, category, text, json_));  // best effort: nowhere to complain
  }
  void flush() override {}
  void set_pattern(const std::string&) override {}
  void set_formatter(std::unique_ptr<spdlog::formatter>) override {}
  [[nodiscard]] bool opened() const { return file_.is_open(); }
  void reopen() { file_.reopen(); }

 private:
  LineFile file_;
  bool json_;
};

struct Running {
  std::shared_ptr<LineSink> sink;  // shared with spdlog's loggers
  std::shared_ptr<spdlog::details::thread_pool> pool;
  std::array<std::shared_ptr<spdlog::async_logger>, kCategories.size()> loggers;
};
std::unique_ptr<Running> owner;
std::atomic<Running*> running{nullptr};

static_assert(static_cast<int>(Level::trace) == SPDLOG_LEVEL_TRACE &&
              static_cast<int>(Level::error) == SPDLOG_LEVEL_ERROR);

}  // namespace

void start_log(const LogOptions& options) {
  stop_log();
  set_level(options.level);
  auto next = std::make_unique<Running>();
  next->sink = std::make_shared<LineSink>(options.file, options.json);
  const bool opened = next->sink->opened();
  if (!opened) next->sink = std::make_shared<LineSink>("", options.json);
  next->pool = std::make_shared<spdlog::details::thread_pool>(kQueueLines, 1U);
  for (std::size_t i = 0; i < kCategories.size(); ++i) {
    next->loggers[i] = std::make_shared<spdlog::async_logger>(kCategories[i], next->sink, next->pool,
                                                              spdlog::async_overflow_policy::overrun_oldest);
    next->loggers[i]->set_level(spdlog::level::trace);  // write() has decided already
  }
  owner = std::move(next);
  running.store(owner.get(), std::memory_order_release);
  if (!opened) error(Category::app, "log.file {}: cannot open, logging to stderr", options.file);
}

void stop_log() {
  running.store(nullptr, std::memory_order_release);
  owner.reset();  // the pool's end writes what is queued
}

void reopen_log() {
  if (auto* const log = running.load(std::memory_order_acquire)) log->sink->reopen();
}

std::uint64_t lost_log_lines() {
  auto* const log = running.load(std::memory_order_acquire);
  return log == nullptr ? 0 : log->pool->overrun_counter();
}

void set_level(Level level) { level_now.store(level, std::memory_order_relaxed); }

Level parse_level(std::string_view name, Level fallback) {
  for (std::size_t i = 0; i < kLevels.size(); ++i) {
    if (name == kLevels[i]) return static_cast<Level>(i);
  }
  return fallback;
}

bool enabled(Level level) { return level >= level_now.load(std::memory_order_relaxed); }

void write(Level level, Category category, std::string_view line) {
  if (!enabled(level)) return;
  line = line.substr(0, kMaxLineBytes);
  const auto which = static_cast<std::size_t>(category);
  if (auto* const log = running.load(std::memory_order_acquire)) {
    log->loggers[which]->log(static_cast<spdlog::level::level_enum>(level),
                             spdlog::string_view_t(line.data(), line.size()));
    return;
  }
  const auto text = format_line(std::chrono::system_clock::now(), kLevels[static_cast<std::size_t>(level)],
                                kCategories[which], line, /*json=*/false);
  (void)LineFile("").write(text);  // best effort: nowhere to complain
}

}  // namespace shoal::obs
