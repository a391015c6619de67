#include "shoal/obs/access_log.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <utility>

#include "access_line.h"
#include "line_file.h"
#include "stripe.h"

namespace shoal::obs {
namespace {

constexpr std::size_t kFlushBytes = 64 * 1024;
constexpr std::chrono::milliseconds kFlushInterval{200};
constexpr unsigned kBuffers = 16;

std::size_t count_lines(std::string_view text) {
  return static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
}

}  // namespace

// Each loop has a buffer of its own (with up to 16 loops), so its mutex is contended only while the log thread swaps
// it. The log thread sleeps while nothing is buffered.
struct AccessLog::Impl {
  struct Buffer {
    alignas(64) std::mutex mutex;
    std::string text;
  };

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
    if (!file.is_open() || buffered.load(std::memory_order_relaxed) >= options.max_buffered_bytes) {
      lost.fetch_add(1, std::memory_order_relaxed);
      return;
    }
    bool is_full = false;
    {
      Buffer& buffer = buffers[stripe() % kBuffers];
      const std::lock_guard lock(buffer.mutex);
      const auto before = buffer.text.size();
      append_access_line(buffer.text, line, options.json, options.max_line_bytes);
      buffered.fetch_add(buffer.text.size() - before, std::memory_order_relaxed);
      is_full = before < kFlushBytes && buffer.text.size() >= kFlushBytes;
    }
    if (is_full) signal(full);
    if (!waiting.load(std::memory_order_acquire)) signal(waiting);
  }

  // The mutex is taken so that a writer between its check and its wait does not miss it; rare.
  void signal(std::atomic<bool>& flag) {
    if (flag.exchange(true)) return;
    { const std::lock_guard lock(mutex); }
    wake.notify_one();
  }

  void run() {
    bool last = false;
    while (!last) {
      {
        std::unique_lock lock(mutex);
        wake.wait(lock, [this] { return stopping || waiting.load(); });
        wake.wait_for(lock, kFlushInterval, [this] { return stopping || full.load(); });
        last = stopping;
        full.store(false);
        waiting.store(false);  // before the buffers are taken: a line that comes later asks again
      }
      for (auto& buffer : buffers) flush(buffer);
    }
  }

  void flush(Buffer& buffer) {
    spare.clear();
    {
      const std::lock_guard lock(buffer.mutex);
      std::swap(spare, buffer.text);
    }
    if (spare.empty()) return;
    if (!file.write(spare)) lost.fetch_add(count_lines(spare), std::memory_order_relaxed);
    buffered.fetch_sub(spare.size(), std::memory_order_relaxed);
    if (spare.capacity() > 4 * kFlushBytes) spare.shrink_to_fit();
  }

  AccessLogOptions options;
  LineFile file;
  std::array<Buffer, kBuffers> buffers;
  std::string spare;  // the log thread's
  std::atomic<std::size_t> buffered{0};
  std::atomic<std::uint64_t> lost{0};
  std::atomic<bool> waiting{false};  // something is buffered
  std::atomic<bool> full{false};     // a buffer is due
  std::mutex mutex;
  std::condition_variable wake;
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
std::uint64_t AccessLog::dropped() const { return impl_ ? impl_->lost.load(std::memory_order_relaxed) : 0; }

}  // namespace shoal::obs
