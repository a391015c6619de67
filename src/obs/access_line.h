// AccessLine to text: logfmt (time=... status=200 ...) or one JSON object. Pure; about a microsecond.
#pragma once

#include <string>

#include "shoal/obs/access_log.h"

namespace shoal::obs {

// Appends one line with its newline, at most max(max_bytes, 512) bytes: the longest texts are cut, the line stays
// well-formed. Empty texts are left out.
void append_access_line(std::string& out, const AccessLine& line, bool json, std::size_t max_bytes);

}  // namespace shoal::obs
