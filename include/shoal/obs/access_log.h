// One line per request, in the order they ended. Lines go to the file on the log's own thread, never on a loop.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "shoal/base/clock.h"

namespace shoal::obs {

struct AccessLine {
  base::WallTime at;
  std::string_view id, peer, user, method, target, repository, cache, user_agent, detail;
  std::string_view end;  // who or what ended it: ok, client, upstream, store, timeout, shutdown
  int status = 0;
  std::uint64_t bytes = 0;
  // Of these. What the swarm brought is among from_neighbours.
  std::uint64_t from_disk = 0, from_upstream = 0, from_neighbours = 0, from_swarm = 0;
  std::chrono::microseconds first_byte{0}, total{0};
  bool complete = false;
};

struct AccessLogOptions {
  std::string file;  // "": off; "-": stderr
  bool json = false;
  std::size_t max_line_bytes = 4096;
  std::size_t max_buffered_bytes = 4 << 20;  // per process; beyond, lines are dropped and counted
};

class AccessLog {
 public:
  explicit AccessLog(AccessLogOptions options);
  ~AccessLog();                        // writes out
  void write(const AccessLine& line);  // any thread; never blocks on the file
  void reopen();                       // after logrotate
  [[nodiscard]] std::uint64_t dropped() const;
  [[nodiscard]] bool usable() const;  // off, or its file could be opened

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace shoal::obs
