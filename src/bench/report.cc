#include "report.h"

#include "shoal/base/format.h"

namespace shoal::bench {

using base::format;

namespace {

template <class T>
void keep_some(std::vector<T>& to, const std::vector<T>& from) {
  for (const auto& each : from) {
    if (to.size() < 5) to.push_back(each);
  }
}

// Pairs of rounds: those that both targets have finished.
template <class Cell, class Value>
std::optional<Ratio> compare_cells(const Cell& first, const Cell& second, Value value) {
  std::vector<double> a, b;
  for (std::size_t i = 0; i < std::min(first.rounds.size(), second.rounds.size()); ++i) {
    a.push_back(value(first.rounds[i]));
    b.push_back(value(second.rounds[i]));
  }
  return compare(a, b);
}

template <class Cell, class Same>
const Cell* find_cell(const std::vector<Cell>& cells, std::size_t target, Same same) {
  for (const auto& cell : cells) {
    if (cell.target == target && same(cell)) return &cell;
  }
  return nullptr;
}

std::string clients_text(unsigned clients) { return format("{} client{}", clients, clients == 1 ? "" : "s"); }

}  // namespace

std::string_view Comparison::verdict() const {
  constexpr unsigned kFew = 4;  // pairs; with two, Student's t is 12.7
  if (!ratio) return "an interval takes two rounds";
  if (ratio->undecided()) return ratio->pairs < kFew ? "too few rounds to tell" : "no difference shown";
  return more_is_better == (ratio->ratio > 1) ? "better" : "worse";
}

PullRound PullCell::total() const {
  PullRound sum;
  for (const auto& round : rounds) {
    sum.clients += round.clients;
    sum.finished += round.finished;
    sum.seconds += round.seconds;
    sum.bytes += round.bytes;
    sum.requests += round.requests;
    sum.failed += round.failed;
    sum.redirects += round.redirects;
    sum.connections += round.connections;
    sum.waited += round.waited;
    sum.cpu_seconds += round.cpu_seconds;
    sum.pull.add(round.pull);
    sum.first_byte.add(round.first_byte);
    sum.whole.add(round.whole);
    sum.blobs.resize(std::max(sum.blobs.size(), round.blobs.size()));
    for (std::size_t i = 0; i < round.blobs.size(); ++i) {
      sum.blobs[i].requests += round.blobs[i].requests;
      sum.blobs[i].bytes += round.blobs[i].bytes;
      sum.blobs[i].first_byte.add(round.blobs[i].first_byte);
      sum.blobs[i].whole.add(round.blobs[i].whole);
    }
    for (std::size_t i = 0; i < kSourceCount; ++i) sum.sources[i] += round.sources[i];
    sum.warm_layer = sum.warm_layer || round.warm_layer;
    keep_some(sum.errors, round.errors);
  }
  return sum;
}

std::vector<double> PullCell::rates() const {
  std::vector<double> out;
  for (const auto& round : rounds) out.push_back(round.bytes_per_second());
  return out;
}

RateRound RateCell::total() const {
  RateRound sum;
  sum.rate = rate;
  for (const auto& round : rounds) {
    sum.due += round.due;
    sum.answered += round.answered;
    sum.failed += round.failed;
    sum.seconds += round.seconds;
    sum.cpu_seconds += round.cpu_seconds;
    sum.response.add(round.response);
    sum.service.add(round.service);
    sum.lateness.add(round.lateness);
    keep_some(sum.errors, round.errors);
  }
  return sum;
}

std::vector<Comparison> Report::comparisons() const {
  std::vector<Comparison> out;
  for (const auto& cell : pulls) {
    if (cell.target == 0) continue;
    const auto* first = find_cell(pulls, 0, [&cell](const auto& other) { return other.clients == cell.clients; });
    if (first == nullptr) continue;
    const auto where = clients_text(cell.clients);
    const auto add = [&](const char* what, bool more, auto value) {
      out.push_back({cell.target, what, where, more, compare_cells(*first, cell, value)});
    };
    add("bytes/s", true, [](const PullRound& round) { return round.bytes_per_second(); });
    add("first byte p50", false,
        [](const PullRound& round) { return static_cast<double>(round.first_byte.percentile(50)); });
    add("pull p50", false, [](const PullRound& round) { return static_cast<double>(round.pull.percentile(50)); });
  }
  for (const auto& cell : rates) {
    if (cell.target == 0) continue;
    const auto* first = find_cell(rates, 0, [&cell](const auto& other) { return other.rate == cell.rate; });
    if (first == nullptr) continue;
    for (const double percent : {50.0, 99.0}) {
      out.push_back({cell.target, format("manifest p{:g}", percent), format("{:g}/s", cell.rate), false,
                     compare_cells(*first, cell, [percent](const RateRound& round) {
                       return static_cast<double>(round.response.percentile(percent));
                     })});
    }
  }
  return out;
}

std::string rate_text(double bytes_per_second) {
  if (bytes_per_second >= 1e9) return format("{:.2f} GB/s", bytes_per_second / 1e9);
  if (bytes_per_second >= 1e6) return format("{:.1f} MB/s", bytes_per_second / 1e6);
  return format("{:.1f} kB/s", bytes_per_second / 1e3);
}

std::string time_text(double nanoseconds) {
  if (nanoseconds >= 1e9) return format("{:.2f} s", nanoseconds / 1e9);
  if (nanoseconds >= 1e8) return format("{:.0f} ms", nanoseconds / 1e6);
  if (nanoseconds >= 1e6) return format("{:.2f} ms", nanoseconds / 1e6);
  return format("{:.0f} us", nanoseconds / 1e3);
}

std::string size_text(std::uint64_t bytes) {
  const auto value = static_cast<double>(bytes);
  if (bytes >= std::uint64_t{1} << 30) return format("{:.1f} GiB", value / (1 << 30));
  if (bytes >= 1 << 20) return format("{:.1f} MiB", value / (1 << 20));
  if (bytes >= 1 << 10) return format("{:.1f} KiB", value / (1 << 10));
  return format("{} B", bytes);
}

std::string ratio_text(const Ratio& ratio) {
  return format("{:.3f} ({:.3f} to {:.3f})", ratio.ratio, ratio.low, ratio.high);
}

std::string sources_text(const BytesBySource& sources) {
  std::uint64_t all = 0;
  for (const auto bytes : sources) all += bytes;
  std::string out;
  for (const auto source : kSources) {
    const auto bytes = sources[static_cast<std::size_t>(source)];
    if (bytes == 0) continue;
    out += format("{}{:.0f} % {}", out.empty() ? "" : ", ", 100 * static_cast<double>(bytes) / static_cast<double>(all),
                  to_string(source));
  }
  return out.empty() ? "nothing came" : out;
}

double cpu_per_gigabyte(double cpu_seconds, std::uint64_t bytes) {
  return bytes == 0 ? 0 : cpu_seconds / (static_cast<double>(bytes) / 1e9);
}

}  // namespace shoal::bench
