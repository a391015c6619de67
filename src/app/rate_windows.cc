#include "rate_windows.h"

#include <algorithm>

#include "shoal/base/format.h"
#include "shoal/config/value.h"

namespace shoal::app {
namespace {

constexpr std::size_t kMostWindows = 100;

struct Parsed {
  RateWindow window;
  std::string fault;
};

Parsed parse(std::string_view text, std::initializer_list<std::string_view> names, std::uint64_t least) {
  Parsed parsed;
  // "<days> <hours>", and the rest are rates.
  const auto second = text.find(' ', std::min(text.find(' ') + 1, text.size()));
  auto when = base::TimeWindow::parse(text.substr(0, second));
  if (!when) return {{}, when.error().message()};
  parsed.window.when = *when;
  auto rest = second == text.npos ? std::string_view() : text.substr(second + 1);
  while (!rest.empty()) {
    const auto blank = std::min(rest.find(' '), rest.size());
    const auto rate = rest.substr(0, blank);
    rest.remove_prefix(std::min(blank + 1, rest.size()));
    const auto equals = rate.find('=');
    const auto name = rate.substr(0, equals);
    if (equals == rate.npos || std::find(names.begin(), names.end(), name) == names.end()) {
      std::string known;
      for (const auto& one : names) known += base::format("{}{}=", known.empty() ? "" : " or ", one);
      return {{}, base::format("\"{}\": \"{}\" is not {}", text.substr(0, 100), rate.substr(0, 100), known)};
    }
    const auto size = config::parse_size(rate.substr(equals + 1));
    if (!size || (*size != 0 && *size < least)) {
      return {{},
              base::format("\"{}\": {} is a size such as 10MiB, {} at least, or 0 for no limit", text.substr(0, 100),
                           name, config::format_size(least))};
    }
    if (!parsed.window.rates.emplace(name, *size).second) {
      return {{}, base::format("\"{}\": {} is there twice", text.substr(0, 100), name)};
    }
  }
  if (parsed.window.rates.empty()) parsed.fault = base::format("\"{}\": no rate", text.substr(0, 100));
  return parsed;
}

}  // namespace

std::vector<RateWindow> read_windows(config::Section& section, std::initializer_list<std::string_view> names,
                                     std::uint64_t least) {
  std::vector<RateWindow> windows;
  const auto texts = section.list("windows", {});
  if (texts.size() > kMostWindows) section.fail("windows", base::format("has more than {}", kMostWindows));
  for (const auto& text : texts) {
    auto parsed = parse(text, names, least);
    if (!parsed.fault.empty()) section.fail("windows", parsed.fault);
    windows.push_back(std::move(parsed.window));
  }
  return windows;
}

}  // namespace shoal::app
