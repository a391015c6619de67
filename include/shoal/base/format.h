// format(): std::format's stand-in (g++ 12 has none): fmt, from Debian's libfmt, light header only.
#pragma once

#include <fmt/core.h>

namespace shoal::base {
using fmt::format;
}  // namespace shoal::base
