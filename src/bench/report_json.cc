// The report for programs. Names and units: docs/bench.md; times are nanoseconds, rates bytes a second.
#include <nlohmann/json.hpp>

#include "report.h"

namespace shoal::bench {
namespace {

using nlohmann::json;

constexpr unsigned kCurveSteps = 4;

json of(const Histogram& histogram) {
  json out{
      {"count", histogram.count()}, {"min", histogram.min()}, {"mean", histogram.mean()}, {"max", histogram.max()}};
  for (const auto& [name, percent] :
       {std::pair{"p50", 50.0}, std::pair{"p75", 75.0}, std::pair{"p90", 90.0}, std::pair{"p95", 95.0},
        std::pair{"p99", 99.0}, std::pair{"p99_9", 99.9}, std::pair{"p99_99", 99.99}}) {
    out[name] = histogram.percentile(percent);
  }
  json curve = json::array();
  for (const auto& point : histogram.curve(kCurveSteps)) curve.push_back({point.percent, point.value});
  out["curve"] = std::move(curve);
  return out;
}

json of(const BytesBySource& sources) {
  json out = json::object();
  for (const auto source : kSources) out[std::string(to_string(source))] = sources[static_cast<std::size_t>(source)];
  return out;
}

json round_json(const PullRound& round) {
  return {{"clients", round.clients},
          {"finished", round.finished},
          {"seconds", round.seconds},
          {"bytes", round.bytes},
          {"bytes_per_second", round.bytes_per_second()},
          {"requests", round.requests},
          {"failed", round.failed},
          {"redirects", round.redirects},
          {"connections", round.connections},
          {"waited", round.waited},
          {"sources", of(round.sources)},
          {"client_cpu_seconds", round.cpu_seconds},
          {"first_byte_p50", round.first_byte.percentile(50)},
          {"pull_p50", round.pull.percentile(50)}};
}

json of(const PullCell& cell, const Report& report) {
  const auto total = cell.total();
  json rounds = json::array(), blobs = json::array();
  for (const auto& round : cell.rounds) rounds.push_back(round_json(round));
  for (std::size_t i = 0; i < total.blobs.size() && i < report.blobs.size(); ++i) {
    const auto& blob = total.blobs[i];
    // Of images generated for each round the digest is the last one's; the sizes are those of all.
    blobs.push_back({{"digest", report.blobs[i].digest},
                     {"size", report.blobs[i].size},
                     {"config", report.blobs[i].config},
                     {"requests", blob.requests},
                     {"bytes", blob.bytes},
                     {"first_byte", of(blob.first_byte)},
                     {"whole", of(blob.whole)}});
  }
  auto out = round_json(total);
  out.erase("first_byte_p50");
  out.erase("pull_p50");
  out["target"] = cell.target;
  out["clients"] = cell.clients;
  out["pulls"] = total.finished;
  out.erase("finished");
  out["client_cpu_seconds_per_gigabyte"] = cpu_per_gigabyte(total.cpu_seconds, total.bytes);
  out["client_busy"] = total.seconds > 0 ? total.cpu_seconds / total.seconds : 0.0;
  out["pull"] = of(total.pull);
  out["first_byte"] = of(total.first_byte);
  out["layer"] = of(total.whole);
  out["layers"] = std::move(blobs);
  out["errors"] = total.errors;
  out["rounds"] = std::move(rounds);
  return out;
}

json of(const RateCell& cell) {
  const auto total = cell.total();
  json rounds = json::array();
  for (const auto& round : cell.rounds) {
    rounds.push_back({{"due", round.due},
                      {"answered", round.answered},
                      {"failed", round.failed},
                      {"seconds", round.seconds},
                      {"p50", round.response.percentile(50)},
                      {"p99", round.response.percentile(99)}});
  }
  return {{"target", cell.target},
          {"rate", cell.rate},
          {"due", total.due},
          {"answered", total.answered},
          {"failed", total.failed},
          {"seconds", total.seconds},
          {"client_cpu_seconds", total.cpu_seconds},
          {"client_busy", total.seconds > 0 ? total.cpu_seconds / total.seconds : 0.0},
          {"response", of(total.response)},
          {"service", of(total.service)},
          {"own_lateness", of(total.lateness)},
          {"errors", total.errors},
          {"rounds", std::move(rounds)}};
}

json of(const Comparison& comparison) {
  json out{{"target", comparison.target},
           {"to", 0},
           {"what", comparison.what},
           {"at", comparison.where},
           {"more_is_better", comparison.more_is_better},
           {"ratio", nullptr}};
  if (!comparison.ratio) return out;
  out["ratio"] = comparison.ratio->ratio;
  out["low"] = comparison.ratio->low;
  out["high"] = comparison.ratio->high;
  out["confidence"] = 0.95;
  out["rounds"] = comparison.ratio->pairs;
  return out;
}

}  // namespace

std::string to_json(const Report& report) {
  json pulls = json::array(), rates = json::array(), ratios = json::array(), blobs = json::array();
  for (const auto& cell : report.pulls) pulls.push_back(of(cell, report));
  for (const auto& cell : report.rates) rates.push_back(of(cell));
  for (const auto& each : report.comparisons()) ratios.push_back(of(each));
  for (const auto& blob : report.blobs) {
    blobs.push_back({{"digest", blob.digest}, {"size", blob.size}, {"config", blob.config}});
  }
  const json out{{"schema", 1},
                 {"version", report.version},
                 {"started", report.started},
                 {"machine", report.machine},
                 {"mode", report.mode},
                 {"profile", report.profile},
                 {"rounds", report.rounds},
                 {"targets", report.targets},
                 {"image", {{"bytes", report.image_bytes}, {"blobs", std::move(blobs)}}},
                 {"bodies", report.bodies},
                 {"pulls", std::move(pulls)},
                 {"manifests", std::move(rates)},
                 {"ratios", std::move(ratios)},
                 {"complete", report.ended.empty()},
                 {"ended", report.ended},
                 {"notes", report.notes},
                 {"problems", report.problems}};
  return out.dump(2, ' ', false, json::error_handler_t::replace) + "\n";
}

}  // namespace shoal::bench
