// The report as text for a terminal.
#include <algorithm>

#include "report.h"
#include "shoal/base/format.h"

namespace shoal::bench {
namespace {

using base::format;

class Table {
 public:
  explicit Table(std::vector<std::string> head) { rows_.push_back(std::move(head)); }
  void add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }
  [[nodiscard]] std::string text() const {
    std::vector<std::size_t> widths(rows_.front().size());
    for (const auto& row : rows_) {
      for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
    }
    std::string out;
    for (const auto& row : rows_) {
      std::string line = " ";
      for (std::size_t i = 0; i < row.size(); ++i) {
        line += i == 0 ? format(" {:<{}}", row[i], widths[i]) : format("  {:>{}}", row[i], widths[i]);
      }
      line.resize(line.find_last_not_of(' ') + 1);
      out += line + "\n";
    }
    return out;
  }

 private:
  std::vector<std::vector<std::string>> rows_;
};

std::string at(const Histogram& histogram, double percent) {
  return histogram.count() == 0 ? "-" : time_text(static_cast<double>(histogram.percentile(percent)));
}

// A letter for each target: URLs are too long for columns.
std::string letter(std::size_t target) {
  return target < 26 ? std::string(1, static_cast<char>('A' + target)) : format("T{}", target + 1);
}

std::string spread(const PullCell& cell) {
  auto rates = cell.rates();
  const auto [least, most] = std::minmax_element(rates.begin(), rates.end());
  return format("{} to {}", rate_text(*least), rate_text(*most));
}

std::string pulls(const Report& report) {
  Table table({"", "clients", "bytes/s", "of rounds", "pull p50", "p99", "first byte p50", "p99", "max", "layer p50",
               "CPU s/GB", "busy", "failed"});
  std::string sources;
  for (const auto& cell : report.pulls) {
    const auto total = cell.total();
    table.add({letter(cell.target), format("{}", cell.clients), rate_text(total.bytes_per_second()), spread(cell),
               at(total.pull, 50), at(total.pull, 99), at(total.first_byte, 50), at(total.first_byte, 99),
               at(total.first_byte, 100), at(total.whole, 50),
               format("{:.3f}", cpu_per_gigabyte(total.cpu_seconds, total.bytes)),
               format("{:.0f} %", total.seconds > 0 ? 100 * total.cpu_seconds / total.seconds : 0.0),
               format("{}", total.failed)});
    sources +=
        format("  {}, {} clients: {} in {} requests over {} connections: {}\n", letter(cell.target), cell.clients,
               size_text(total.bytes), total.requests, total.connections, sources_text(total.sources));
  }
  return "pulls (CPU and busy: of this client)\n" + table.text() + "\nwhere the bytes came from (Cache-Status)\n" +
         sources + "\n";
}

std::string layers(const Report& report) {
  Table table({"layer", "size", "target", "clients", "first byte p50", "p99", "whole p50", "p99", "bytes/s p50"});
  for (std::size_t i = 0; i < report.blobs.size(); ++i) {
    const auto& blob = report.blobs[i];
    for (const auto& cell : report.pulls) {
      const auto total = cell.total();
      if (i >= total.blobs.size()) continue;
      const auto& result = total.blobs[i];
      const auto p50 = static_cast<double>(result.whole.percentile(50));
      table.add({blob.config ? "config" : blob.digest.substr(0, 19), size_text(blob.size), letter(cell.target),
                 format("{}", cell.clients), at(result.first_byte, 50), at(result.first_byte, 99), at(result.whole, 50),
                 at(result.whole, 99), p50 > 0 ? rate_text(static_cast<double>(blob.size) * 1e9 / p50) : "-"});
    }
  }
  return "by layer\n" + table.text() + "\n";
}

std::string rates(const Report& report) {
  Table table(
      {"", "wanted", "came", "p50", "p90", "p99", "p99.9", "max", "service p99", "own lateness p99", "busy", "failed"});
  for (const auto& cell : report.rates) {
    const auto total = cell.total();
    const auto came = total.seconds > 0 ? static_cast<double>(total.answered) / total.seconds : 0;
    table.add({letter(cell.target), format("{:g}/s", cell.rate), format("{:.0f}/s", came), at(total.response, 50),
               at(total.response, 90), at(total.response, 99), at(total.response, 99.9), at(total.response, 100),
               at(total.service, 99), at(total.lateness, 99),
               format("{:.0f} %", total.seconds > 0 ? 100 * total.cpu_seconds / total.seconds : 0.0),
               format("{}", total.failed)});
  }
  return format("manifests, {}, at a fixed rate; times count from when each was due\n", report.manifest_request) +
         table.text() + "\n";
}

std::string comparisons(const Report& report) {
  Table table({"", "at", "ratio to A (95 %)", "rounds", ""});
  for (const auto& each : report.comparisons()) {
    const auto name = format("{}: {}", letter(each.target), each.what);
    if (!each.ratio) {
      table.add({name, each.where, "-", "", std::string(each.verdict())});
      continue;
    }
    table.add(
        {name, each.where, ratio_text(*each.ratio), format("{}", each.ratio->pairs), std::string(each.verdict())});
  }
  return "compared, round by round\n" + table.text() + "\n";
}

}  // namespace

std::string to_table(const Report& report) {
  std::string out = format("{} pulls, profile {}, {} rounds; image of {} in {} blobs\n", report.mode, report.profile,
                           report.rounds, size_text(report.image_bytes), report.blobs.size());
  for (std::size_t i = 0; i < report.targets.size(); ++i) out += format("  {}  {}\n", letter(i), report.targets[i]);
  out += format("  bodies: {}\n  {}\n\n", report.bodies, report.machine);
  if (!report.pulls.empty()) out += pulls(report) + layers(report);
  if (!report.rates.empty()) out += rates(report);
  if (report.targets.size() > 1) out += comparisons(report);
  for (const auto& note : report.notes) out += "note: " + note + "\n";
  for (const auto& problem : report.problems) out += "problem: " + problem + "\n";
  return out;
}

}  // namespace shoal::bench
