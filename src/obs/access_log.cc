#include "shoal/obs/access_log.h"

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <utility>

#include "access_line.h"
#include "line_file.h"

namespace shoal::obs {
namespace {

constexpr std::size_t kFlushBytes = 64 * 1024;
constexpr std::chrono::milliseconds kFlushInterval{200};

std::size_t count_lines(std::string_view text) {
  return static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
}

}  // namespace

// One buffer, so that lines keep the order in which requests ended; a line is made outside the mutex, which is held for
// its copy only. The log thread swaps the buffer out, and sleeps while it is empty.
struct AccessLog::Impl {
  explicit Impl(AccessLogOptions o) : options(std::move(o)), file(options.file == "-" ? "" : options.file) {
    if (file.is_open()) writer = std::thread([this] { run(); });
  }
  ~Impl() {
    {
      const std::lock_guard lock(mutex);
      stopping = true;
    }
    wake.notify_one();
    if (writer.joinable()) writer.join();
  }

  void write(const AccessLine& line) {
    thread_local std::string text;
    text.clear();
    append_access_line(text, line, options.json, options.max_line_bytes);
    bool wake_writer = false;
    {
      const std::lock_guard lock(mutex);
      if (!file.is_open() || buffer.size() + in_flight >= options.max_buffered_bytes) {
        ++lost;
        return;
      }
      const auto before = buffer.size();
      buffer.append(text);
      wake_writer = before == 0 || (before < kFlushBytes && buffer.size() >= kFlushBytes);
    }
    if (wake_writer) wake.notify_one();
  }

  void run() {
    std::unique_lock lock(mutex);
    for (;;) {
      wake.wait(lock, [this] { return stopping || !buffer.empty(); });
      wake.wait_for(lock, kFlushInterval, [this] { return stopping || buffer.size() >= kFlushBytes; });
      if (buffer.empty()) {
        if (stopping) return;
        continue;
      }
      std::string lines = std::exchange(buffer, std::exchange(spare, {}));
      in_flight = lines.size();
      lock.unlock();
      const std::size_t failed = file.write(lines) ? 0 : count_lines(lines);
      if (lines.capacity() > 4 * kFlushBytes) lines = {};
      lines.clear();
      lock.lock();
      in_flight = 0;
      lost += failed;
      spare = std::move(lines);
    }
  }

  AccessLogOptions options;
  LineFile file;
  std::mutex mutex;
  std::condition_variable wake;
  std::string buffer;         // under the mutex, as all below
  std::string spare;          // keeps its memory for the next buffer
  std::size_t in_flight = 0;  // bytes the writer took and has not written
  std::uint64_t lost = 0;
  bool stopping = false;
  std::thread writer;
};

AccessLog::AccessLog(AccessLogOptions options) {
  if (!options.file.empty()) impl_ = std::make_unique<Impl>(std::move(options));
}
AccessLog::~AccessLog() = default;
void AccessLog::write(const AccessLine& line) {
  if (impl_) impl_->write(line);
}
void AccessLog::reopen() {
  if (impl_) impl_->file.reopen();
}
bool AccessLog::usable() const { return !impl_ || impl_->file.is_open(); }
std::uint64_t AccessLog::dropped() const {
  if (!impl_) return 0;
  const std::lock_guard lock(impl_->mutex);
  return impl_->lost;
}

}  // namespace shoal::obs
