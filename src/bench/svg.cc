#include "svg.h"

#include <algorithm>
#include <cmath>

#include "shoal/base/format.h"

namespace shoal::bench {
namespace {

using base::format;

constexpr double kFull = 960, kHalf = 480, kHeight = 260;
constexpr double kLeft = 84, kRight = 40, kTop = 14, kBottom = 46;

class Scale {
 public:
  Scale(const Axis& axis, double from, double to) : log_(axis.log), from_(from), to_(to) {
    low_ = place(axis.ticks.empty() ? 0 : axis.ticks.front().at);
    high_ = place(axis.ticks.empty() ? 1 : axis.ticks.back().at);
    if (high_ <= low_) high_ = low_ + 1;
  }
  [[nodiscard]] double operator()(double value) const {
    const double share = std::clamp((place(value) - low_) / (high_ - low_), 0.0, 1.0);
    return from_ + share * (to_ - from_);
  }

 private:
  [[nodiscard]] double place(double value) const { return log_ ? std::log10(std::max(value, 1e-12)) : value; }
  bool log_;
  double from_, to_, low_ = 0, high_ = 1;
};

std::string open_svg(std::string_view title, double width, double height) {
  return format(
      "<svg viewBox=\"0 0 {:g} {:g}\" role=\"img\" aria-label=\"{}\" xmlns=\"http://www.w3.org/2000/svg\">"
      "<title>{}</title>\n",
      width, height, escape_html(title), escape_html(title));
}

std::string text(double x, double y, const char* anchor, std::string_view words, const char* extra = "") {
  return format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\"{}>{}</text>\n", x, y, anchor, extra,
                escape_html(words));
}

std::string line(double x1, double y1, double x2, double y2, const char* kind) {
  return format("<line class=\"{}\" x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\"/>\n", kind, x1, y1, x2, y2);
}

double width_of(const Plot& plot) { return plot.half ? kHalf : kFull; }

std::string axes(const Plot& plot, const Scale& x, const Scale& y) {
  std::string out;
  const double width = width_of(plot);
  const double bottom = kHeight - kBottom;
  for (const auto& tick : plot.y.ticks) {
    out += line(kLeft, y(tick.at), width - kRight, y(tick.at), "grid");
    out += text(kLeft - 8, y(tick.at) + 4, "end", tick.text);
  }
  for (const auto& tick : plot.x.ticks) {
    out += line(x(tick.at), bottom, x(tick.at), bottom + 5, "axis");
    if (!tick.text.empty()) out += text(x(tick.at), bottom + 19, "middle", tick.text);
  }
  out += line(kLeft, bottom, width - kRight, bottom, "axis");
  out += text((kLeft + width - kRight) / 2, kHeight - 6, "middle", plot.x.label, " class=\"label\"");
  out +=
      format("<text class=\"label\" text-anchor=\"middle\" transform=\"translate(14 {:.1f}) rotate(-90)\">{}</text>\n",
             (kTop + bottom) / 2, escape_html(plot.y.label));
  return out;
}

std::string draw_series(const Series& series, const Scale& x, const Scale& y) {
  std::string out = format("<g class=\"s{}{}\"><title>{}</title>\n", series.colour % 8, series.dashed ? " dashed" : "",
                           escape_html(series.name));
  std::string path;
  for (const auto& [px, py] : series.points) {
    path += format("{}{:.1f} {:.1f}", path.empty() ? "M" : " L", x(px), y(py));
    if (!series.line || series.points.size() <= 16) {
      out += format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"{}\"/>\n", x(px), y(py), series.line ? 4 : 2.5);
    }
  }
  if (series.line && series.points.size() > 1) out += format("<path d=\"{}\"/>\n", path);
  return out + "</g>\n";
}

// Names at the ends of the lines, moved apart where these meet.
std::string end_labels(const Plot& plot, const Scale& x, const Scale& y) {
  struct Label {
    double x, y;
    const Series* series;
  };
  std::vector<Label> labels;
  for (const auto& series : plot.series) {
    if (!series.line || series.points.empty()) continue;
    labels.push_back({x(series.points.back().first) + 8, y(series.points.back().second) + 4, &series});
  }
  std::stable_sort(labels.begin(), labels.end(), [](const auto& a, const auto& b) { return a.y < b.y; });
  std::string out;
  double last = -100;
  for (auto& label : labels) {
    label.y = std::max(label.y, last + 14);
    last = label.y;
    const auto name = label.series->name.substr(0, label.series->name.find(' '));
    out += format("<text class=\"name n{}\" x=\"{:.1f}\" y=\"{:.1f}\">{}</text>\n", label.series->colour % 8, label.x,
                  label.y, escape_html(name));
  }
  return out;
}

}  // namespace

std::string escape_html(std::string_view plain) {
  std::string out;
  for (const char c : plain) {
    switch (c) {
      case '&': out += "&amp;"; break;
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '"': out += "&quot;"; break;
      case '\'': out += "&#39;"; break;
      default: out.push_back(static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\t' ? ' ' : c);
    }
  }
  return out;
}

std::string draw(const Plot& plot) {
  const Scale x(plot.x, kLeft, width_of(plot) - kRight);
  const Scale y(plot.y, kHeight - kBottom, kTop);
  auto out = open_svg(plot.title, width_of(plot), kHeight) + axes(plot, x, y);
  for (const auto& series : plot.series) out += draw_series(series, x, y);
  return out + end_labels(plot, x, y) + "</svg>\n";
}

std::string draw_intervals(std::string_view title, const std::vector<Bar>& bars) {
  if (bars.empty()) return {};
  constexpr double kRow = 26, kNames = 250;
  double reach = 0.05;  // of the logarithm, to both sides of 1
  for (const auto& bar : bars) {
    reach = std::max({reach, std::abs(std::log(bar.low)), std::abs(std::log(bar.high))});
  }
  reach = std::min(reach * 1.1, std::log(1000.0));
  Axis axis{"", true, {{std::exp(-reach), ""}, {std::exp(reach), ""}}};
  const Scale x(axis, kNames, kFull - kRight);
  const double height = kTop + kRow * static_cast<double>(bars.size()) + 34;
  auto out = open_svg(title, kFull, height);
  const double bottom = height - 28;
  const double shown = std::exp(reach / 1.6);
  for (const double at : {1 / shown, 1.0, shown}) {
    out += line(x(at), kTop - 6, x(at), bottom, at == 1.0 ? "axis" : "grid");
    out += text(x(at), bottom + 18, "middle", at == 1.0 ? "1" : format("{:.3g}", at));
  }
  for (std::size_t i = 0; i < bars.size(); ++i) {
    const auto& bar = bars[i];
    const double y = kTop + kRow * (static_cast<double>(i) + 0.5);
    out += text(kNames - 14, y + 4, "end", bar.name);
    out += format("<g class=\"s{}\"><title>{}: {:.3f} ({:.3f} to {:.3f})</title>", bar.colour % 8,
                  escape_html(bar.name), bar.at, bar.low, bar.high);
    out += format("<path d=\"M{:.1f} {:.1f} L{:.1f} {:.1f}\"/>", x(bar.low), y, x(bar.high), y);
    out += format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"5\"/></g>\n", x(bar.at), y);
  }
  return out + "</svg>\n";
}

std::vector<Tick> ticks_to(double most, TickText text) {
  if (!(most > 0)) most = 1;
  const double rough = most / 5;
  const double power = std::pow(10, std::floor(std::log10(rough)));
  double step = power;
  for (const double factor : {1.0, 2.0, 5.0, 10.0}) {
    step = power * factor;
    if (step >= rough) break;
  }
  std::vector<Tick> ticks;
  const int count = static_cast<int>(std::ceil(most / step - 1e-9));
  for (int i = 0; i <= count; ++i) ticks.push_back({step * i, i == 0 ? "0" : text(step * i)});
  return ticks;
}

std::vector<Tick> log_ticks(double least, double most, TickText text) {
  least = std::max(least, 1e-9);
  most = std::max(most, least * 1.0001);
  std::vector<double> values;
  for (int power = static_cast<int>(std::floor(std::log10(least))); std::pow(10, power) < most * 10; ++power) {
    for (const double factor : {1.0, 2.0, 5.0}) values.push_back(factor * std::pow(10, power));
  }
  const auto first = std::upper_bound(values.begin(), values.end(), least * 1.000001) - 1;
  const auto last = std::lower_bound(values.begin(), values.end(), most * 0.999999);
  std::vector<Tick> ticks;
  const auto count = last - first + 1;
  for (auto each = first; each <= last; ++each) {
    const double mantissa = *each / std::pow(10, std::floor(std::log10(*each) + 1e-9));
    const bool named = count <= 7 || std::abs(mantissa - 1) < 0.01 || each == first || each == last;
    if (named || count <= 12) ticks.push_back({*each, named ? text(*each) : ""});
  }
  return ticks;
}

}  // namespace shoal::bench
