// What a run found out, and its three forms. Values; pure.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "interval.h"
#include "pull_round.h"
#include "rate_round.h"

namespace shoal::bench {

struct PullCell {  // one target, so many clients: all its rounds
  std::size_t target = 0;
  unsigned clients = 0;
  std::vector<PullRound> rounds;

  [[nodiscard]] PullRound total() const;            // sums; `seconds` of all rounds together
  [[nodiscard]] std::vector<double> rates() const;  // bytes a second of each round
};
struct RateCell {
  std::size_t target = 0;
  double rate = 0;
  std::vector<RateRound> rounds;
  [[nodiscard]] RateRound total() const;
};

struct Comparison {  // of two targets: `target` to the first
  std::size_t target = 0;
  std::string what;   // "bytes/s", "first byte p50", "manifest p99"
  std::string where;  // "8 clients", "500/s"
  bool more_is_better = true;
  std::optional<Ratio> ratio;  // nullopt: fewer than two rounds
  [[nodiscard]] std::string_view verdict() const;
};

struct Report {
  std::string version, started;  // started: UTC
  std::string profile, mode;
  std::vector<std::string> targets;
  std::vector<ImageBlob> blobs;  // of the image pulled; of generated ones the last
  std::uint64_t image_bytes = 0;
  std::string bodies;   // what happens to bodies: "dropped in the kernel (recv MSG_TRUNC)"
  std::string machine;  // "Linux 6.1 x86_64, 2 processors, this process on one thread"
  std::string manifest_request;
  unsigned rounds = 0;
  std::vector<PullCell> pulls;
  std::vector<RateCell> rates;
  std::string ended;                  // why before the plan was done; ""
  std::vector<std::string> notes;     // to know when reading the figures
  std::vector<std::string> problems;  // exit code 1

  [[nodiscard]] std::vector<Comparison> comparisons() const;
};

[[nodiscard]] std::string to_table(const Report& report);
[[nodiscard]] std::string to_json(const Report& report);
[[nodiscard]] std::string to_html(const Report& report);

// "1.4 GB/s", "12.3 MB/s": decimal, as links are.
[[nodiscard]] std::string rate_text(double bytes_per_second);
[[nodiscard]] std::string time_text(double nanoseconds);   // "1.23 ms"
[[nodiscard]] std::string size_text(std::uint64_t bytes);  // "64.0 MiB"
[[nodiscard]] std::string ratio_text(const Ratio& ratio);  // "1.03 (0.98 to 1.08)"
// "64 % cache, 36 % upstream"
[[nodiscard]] std::string sources_text(const BytesBySource& sources);
// Processor seconds for each 10^9 bytes; 0 when there were none.
[[nodiscard]] double cpu_per_gigabyte(double cpu_seconds, std::uint64_t bytes);

}  // namespace shoal::bench
