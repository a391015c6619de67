// The report as one page: plots, and every figure in a table below them. No script, nothing from elsewhere.
#include <algorithm>
#include <set>

#include "report.h"
#include "shoal/base/format.h"
#include "svg.h"

namespace shoal::bench {
namespace {

using base::format;

constexpr unsigned kCurveSteps = 6;
constexpr const char* kStyle = R"(
:root { color-scheme: light dark; --ink: #1b1f24; --soft: #59636e; --paper: #fff; --panel: #f6f8fa; --rule: #d1d9e0;
  --s0: #0b62b8; --s1: #c4501b; --s2: #0a7d55; --s3: #9a3a8f; --s4: #806300; --s5: #0b7c8c; --s6: #b3261e; --s7: #57606a; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6edf3; --soft: #9aa4af; --paper: #0d1117; --panel: #161b22; --rule: #30363d;
    --s0: #6cb2ff; --s1: #ff9d66; --s2: #4fd3a2; --s3: #e38fd8; --s4: #e3c046; --s5: #5cd2e3; --s6: #ff8b82; --s7: #aab3bd; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 76rem; padding: 1.5rem; font: 16px/1.5 system-ui, sans-serif; color: var(--ink);
  background: var(--paper); }
h1 { font-size: 1.6rem; margin: 0 0 .3rem; } h2 { font-size: 1.25rem; margin: 2.2rem 0 .4rem; }
h3 { font-size: 1rem; margin: 1.2rem 0 .3rem; font-weight: 600; }
p, ul { margin: .4rem 0; } .soft { color: var(--soft); } code { font-size: .92em; overflow-wrap: anywhere; }
.plots { display: grid; align-items: start; margin: 1rem 0; grid-template-columns: repeat(auto-fit, minmax(min(26rem, 100%), 1fr)); gap: 1rem; }
.plots figure { margin: 0; }
figure { margin: .6rem 0; padding: .8rem; background: var(--panel); border: 1px solid var(--rule); border-radius: 8px; }
figcaption { font-weight: 600; margin-bottom: .3rem; } figcaption small { font-weight: 400; color: var(--soft); }
svg { width: 100%; height: auto; display: block; } svg text { font: 13px system-ui, sans-serif; fill: var(--ink); }
svg text.label { fill: var(--soft); } svg text.name { font-weight: 700; }
.grid { stroke: var(--rule); } .axis { stroke: var(--soft); }
svg path { fill: none; stroke-width: 2.2; } .dashed path { stroke-dasharray: 5 4; stroke-width: 1.6; }
.dashed circle { r: 2.5px; }
.scroll { overflow-x: auto; margin: 1.2rem 0; } table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .88rem; }
th, td { padding: .3rem .55rem; text-align: right; border-bottom: 1px solid var(--rule); white-space: nowrap; }
th { color: var(--soft); font-weight: 600; } th:first-child, td:first-child { text-align: left; }
caption { text-align: left; font-weight: 600; padding-bottom: .3rem; white-space: nowrap; }
.problem { border-left: 4px solid var(--s6); padding: .3rem .8rem; background: var(--panel); }
.swatch { display: inline-block; width: .8em; height: .8em; border-radius: 2px; margin-right: .4em; }
)";

std::string letter(std::size_t target) {
  return target < 26 ? std::string(1, static_cast<char>('A' + target)) : format("T{}", target + 1);
}

std::string clients_text(unsigned clients) { return format("{} client{}", clients, clients == 1 ? "" : "s"); }

std::string at(const Histogram& histogram, double percent) {
  return histogram.count() == 0 ? "-" : time_text(static_cast<double>(histogram.percentile(percent)));
}

class HtmlTable {
 public:
  HtmlTable(std::string_view caption, const std::vector<std::string>& head) {
    out_ = format("<div class=\"scroll\"><table><caption>{}</caption><thead><tr>", escape_html(caption));
    for (const auto& cell : head) out_ += format("<th scope=\"col\">{}</th>", escape_html(cell));
    out_ += "</tr></thead><tbody>\n";
  }
  void add(const std::vector<std::string>& row) {
    out_ += "<tr>";
    for (const auto& cell : row) out_ += format("<td>{}</td>", escape_html(cell));
    out_ += "</tr>\n";
  }
  [[nodiscard]] std::string text() const { return out_ + "</tbody></table></div>\n"; }

 private:
  std::string out_;
};

std::string figure(std::string_view title, std::string_view small, const std::string& svg) {
  return format("<figure><figcaption>{} <small>{}</small></figcaption>\n{}</figure>\n", escape_html(title),
                escape_html(small), svg);
}

// The distance to 100 % on a log axis: 90 %, 99 % and 99.9 % are equally far apart.
double distance(double percent) { return 100.0 / std::max(100.0 - percent, 1e-7); }

Axis percent_axis(double most) {
  Axis axis{"percentile", true, {}};
  static constexpr std::pair<double, const char*> kNames[] = {
      {0, "0"}, {50, "50 %"}, {90, "90 %"}, {99, "99 %"}, {99.9, "99.9 %"}, {99.99, "99.99 %"}, {99.999, "99.999 %"}};
  for (const auto& [percent, name] : kNames) {
    axis.ticks.push_back({distance(percent), name});
    if (distance(percent) >= most) break;
  }
  return axis;
}

void add_curve(Plot& plot, const Histogram& histogram, const std::string& name, std::size_t colour, bool dashed) {
  Series series{name, colour, {}, true, dashed};
  double last = 1;
  for (const auto& point : histogram.curve(kCurveSteps)) {
    last = point.percent < 100 ? distance(point.percent) : last * 1.12;  // the maximum, just behind
    series.points.emplace_back(last, static_cast<double>(point.value));
  }
  if (!series.points.empty()) plot.series.push_back(std::move(series));
}

std::string draw_curves(Plot plot) {
  double most_x = 2, least = 1e18, most = 0;
  for (const auto& series : plot.series) {
    for (const auto& [x, y] : series.points) {
      most_x = std::max(most_x, x);
      least = std::min(least, y);
      most = std::max(most, y);
    }
  }
  if (plot.series.empty()) return {};
  plot.half = true;
  plot.x = percent_axis(most_x);
  plot.y = {"", true, log_ticks(least, most, &time_text)};
  return draw(plot);
}

std::string throughput_plot(const Report& report) {
  Plot plot;
  plot.title = "Bytes a second by number of clients";
  std::vector<unsigned> levels;
  for (const auto& cell : report.pulls) {
    if (std::find(levels.begin(), levels.end(), cell.clients) == levels.end()) levels.push_back(cell.clients);
  }
  plot.x = {"clients at once", false, {{-0.5, ""}}};
  for (std::size_t i = 0; i < levels.size(); ++i)
    plot.x.ticks.push_back({static_cast<double>(i), format("{}", levels[i])});
  plot.x.ticks.push_back({static_cast<double>(levels.size()) - 0.5, ""});
  double most = 0;
  for (std::size_t target = 0; target < report.targets.size(); ++target) {
    Series means{letter(target) + " " + report.targets[target], target, {}, true, false};
    Series rounds{letter(target) + " each round", target, {}, false, false};
    for (const auto& cell : report.pulls) {
      if (cell.target != target) continue;
      const auto place = std::find(levels.begin(), levels.end(), cell.clients) - levels.begin();
      const auto x = static_cast<double>(place);
      means.points.emplace_back(x, cell.total().bytes_per_second());
      for (const double rate : cell.rates()) {
        rounds.points.emplace_back(x - 0.05 * (static_cast<double>(target) + 1), rate);  // the names are to the right
        most = std::max(most, rate);
      }
    }
    plot.series.push_back(std::move(means));
    plot.series.push_back(std::move(rounds));
  }
  plot.y = {"", false, ticks_to(most, &rate_text)};
  return figure("Throughput", "blobs, all clients together; small dots: each round", draw(plot));
}

std::string curves_by_level(const Report& report, const char* title, Histogram PullRound::*which) {
  std::string out;
  std::vector<unsigned> seen;
  for (const auto& level : report.pulls) {
    if (std::find(seen.begin(), seen.end(), level.clients) != seen.end()) continue;
    seen.push_back(level.clients);
    Plot plot;
    plot.title = format("{}, {}: distribution", title, clients_text(level.clients));
    for (const auto& cell : report.pulls) {
      if (cell.clients != level.clients) continue;
      add_curve(plot, cell.total().*which, letter(cell.target) + " " + report.targets[cell.target], cell.target, false);
    }
    const auto count = format("{}; {} measured each", clients_text(level.clients), (level.total().*which).count());
    out += figure(title, count, draw_curves(std::move(plot)));
  }
  return "<div class=\"plots\">\n" + out + "</div>\n";
}

std::string pull_tables(const Report& report) {
  HtmlTable main("Pulls. CPU and busy: of this client, not of the target",
                 {"target", "clients", "bytes/s", "pull p50", "p99", "first byte p50", "p99", "max", "requests",
                  "connections", "CPU s/GB", "busy", "failed"});
  HtmlTable sources("Where the bytes came from, as Cache-Status says", {"target", "clients", "bytes", "from"});
  for (const auto& cell : report.pulls) {
    const auto total = cell.total();
    const auto busy = total.seconds > 0 ? 100 * total.cpu_seconds / total.seconds : 0.0;
    main.add({letter(cell.target), format("{}", cell.clients), rate_text(total.bytes_per_second()), at(total.pull, 50),
              at(total.pull, 99), at(total.first_byte, 50), at(total.first_byte, 99), at(total.first_byte, 100),
              format("{}", total.requests), format("{}", total.connections),
              format("{:.3f}", cpu_per_gigabyte(total.cpu_seconds, total.bytes)), format("{:.0f} %", busy),
              format("{}", total.failed)});
    sources.add({letter(cell.target), format("{}", cell.clients), size_text(total.bytes), sources_text(total.sources)});
  }
  HtmlTable layers("By layer", {"layer", "size", "target", "clients", "first byte p50", "p99", "whole p50", "p99"});
  for (std::size_t i = 0; i < report.blobs.size(); ++i) {
    const auto& blob = report.blobs[i];
    for (const auto& cell : report.pulls) {
      const auto total = cell.total();
      if (i >= total.blobs.size()) continue;
      layers.add({blob.config ? "config" : blob.digest.substr(0, 19), size_text(blob.size), letter(cell.target),
                  format("{}", cell.clients), at(total.blobs[i].first_byte, 50), at(total.blobs[i].first_byte, 99),
                  at(total.blobs[i].whole, 50), at(total.blobs[i].whole, 99)});
    }
  }
  return main.text() + sources.text() + layers.text();
}

std::string rate_section(const Report& report) {
  std::string plots;
  std::set<double> seen;
  HtmlTable table("Times count from when each request was due",
                  {"target", "wanted", "came", "p50", "p90", "p99", "p99.9", "max", "service p99", "own lateness p99",
                   "busy", "failed"});
  for (const auto& cell : report.rates) {
    const auto total = cell.total();
    const auto came = total.seconds > 0 ? static_cast<double>(total.answered) / total.seconds : 0;
    const auto busy = total.seconds > 0 ? 100 * total.cpu_seconds / total.seconds : 0.0;
    table.add({letter(cell.target), format("{:g}/s", cell.rate), format("{:.0f}/s", came), at(total.response, 50),
               at(total.response, 90), at(total.response, 99), at(total.response, 99.9), at(total.response, 100),
               at(total.service, 99), at(total.lateness, 99), format("{:.0f} %", busy), format("{}", total.failed)});
    if (!seen.insert(cell.rate).second) continue;
    Plot plot;
    plot.title = format("Manifests at {:g} a second: distribution of response times", cell.rate);
    for (const auto& other : report.rates) {
      if (other.rate != cell.rate) continue;
      const auto sum = other.total();
      add_curve(plot, sum.response, letter(other.target) + " response", other.target, false);
      add_curve(plot, sum.service, "", other.target, true);
    }
    plots += figure(format("{:g} manifests a second", cell.rate), "from when due; dashed: from when sent",
                    draw_curves(std::move(plot)));
  }
  return format(
      "<h2>Manifests at a fixed rate</h2>\n<p class=\"soft\">{}. Requests are due whether or not earlier ones "
      "were answered; what piles up behind a slow answer counts.</p>\n<div class=\"plots\">\n{}</div>\n{}",
      escape_html(report.manifest_request), plots, table.text());
}

std::string comparison_section(const Report& report) {
  const auto comparisons = report.comparisons();
  if (comparisons.empty()) return {};
  std::vector<Bar> bars;
  HtmlTable table("Ratios to A, by rounds in pairs, with 95 % intervals (Student's t of the logarithms)",
                  {"target", "what", "at", "ratio", "low", "high", "rounds", ""});
  for (const auto& each : comparisons) {
    if (!each.ratio) {
      table.add({letter(each.target), each.what, each.where, "-", "-", "-", "", std::string(each.verdict())});
      continue;
    }
    const auto& ratio = *each.ratio;
    table.add({letter(each.target), each.what, each.where, format("{:.3f}", ratio.ratio), format("{:.3f}", ratio.low),
               format("{:.3f}", ratio.high), format("{}", ratio.pairs), std::string(each.verdict())});
    bars.push_back({format("{}: {}, {}", letter(each.target), each.what, each.where), each.target, ratio.ratio,
                    ratio.low, ratio.high});
  }
  auto out = std::string(
      "<h2>Compared with A</h2>\n<p class=\"soft\">An interval that holds 1 shows no difference. Of "
      "bytes/s more is better, of times less.</p>\n");
  if (!bars.empty()) {
    out += figure("Ratios to A", "with 95 % intervals", draw_intervals("Ratios to the first target", bars));
  }
  return out + table.text();
}

std::string head(const Report& report) {
  auto out = format(
      "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      "<title>shoal bench, {}</title><style>{}",
      escape_html(report.started), kStyle);
  for (int i = 0; i < 8; ++i) {
    out += format(
        "svg .s{0} path {{ stroke: var(--s{0}); }} svg .s{0} circle, svg text.n{0} {{ fill: var(--s{0}); }}\n", i);
  }
  out += format("</style></head><body>\n<h1>Pulls measured</h1>\n<p class=\"soft\">{}; shoal bench {}; {}</p>\n",
                escape_html(report.started), escape_html(report.version), escape_html(report.machine));
  out += format("<p>{} pulls, profile {}, {} rounds; an image of {} in {} blobs. Bodies were {}.</p>\n<ul>\n",
                escape_html(report.mode), escape_html(report.profile), report.rounds, size_text(report.image_bytes),
                report.blobs.size(), escape_html(report.bodies));
  for (std::size_t i = 0; i < report.targets.size(); ++i) {
    out += format("<li><span class=\"swatch\" style=\"background: var(--s{})\"></span><b>{}</b> <code>{}</code></li>\n",
                  i % 8, letter(i), escape_html(report.targets[i]));
  }
  out += "</ul>\n";
  for (const auto& problem : report.problems) out += format("<p class=\"problem\">{}</p>\n", escape_html(problem));
  for (const auto& note : report.notes) out += format("<p class=\"soft\">Note: {}</p>\n", escape_html(note));
  return out;
}

}  // namespace

std::string to_html(const Report& report) {
  auto out = head(report);
  if (report.targets.size() > 1) out += comparison_section(report);
  if (!report.pulls.empty()) {
    out += "<h2>Pulls</h2>\n" + throughput_plot(report) +
           curves_by_level(report, "First byte of a layer", &PullRound::first_byte) +
           curves_by_level(report, "Whole pull", &PullRound::pull) + pull_tables(report);
  }
  if (!report.rates.empty()) out += rate_section(report);
  return out + "</body></html>\n";
}

}  // namespace shoal::bench
