// "2026-11-23T21:00:00.123Z", quickly: the calendar part is made once a second and thread.
#pragma once

#include <string>

#include "shoal/base/clock.h"

namespace shoal::obs {

void append_time(std::string& out, base::WallTime at);

}  // namespace shoal::obs
