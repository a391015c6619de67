// Plots as inline SVG, without scripts and without anything from elsewhere; colours come from the page's style sheet
// (classes s0 to s7, axis, grid), so that they follow light and dark. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace shoal::bench {

struct Tick {
  double at;
  std::string text;
};
struct Series {
  std::string name;        // at its last point, and as tooltip
  std::size_t colour = 0;  // 0 to 7
  std::vector<std::pair<double, double>> points;
  bool line = true;  // else dots alone
  bool dashed = false;
};
struct Axis {
  std::string label;
  bool log = false;
  std::vector<Tick> ticks;  // the first and last bound the axis
};
struct Plot {
  std::string title;  // for those who do not see it, too
  Axis x, y;
  std::vector<Series> series;
  bool half = false;  // as wide as half the page, with letters of the same size
};
[[nodiscard]] std::string draw(const Plot& plot);

struct Bar {  // a ratio with its interval
  std::string name;
  std::size_t colour = 0;
  double at, low, high;
};
// Rows with a mark at 1. None: "".
[[nodiscard]] std::string draw_intervals(std::string_view title, const std::vector<Bar>& bars);

// Round numbers from 0 to at least `most`, and powers (1, 2, 5 times 10^n) that hold least and most, on a log axis.
using TickText = std::string (*)(double);
[[nodiscard]] std::vector<Tick> ticks_to(double most, TickText text);
[[nodiscard]] std::vector<Tick> log_ticks(double least, double most, TickText text);

[[nodiscard]] std::string escape_html(std::string_view text);

}  // namespace shoal::bench
