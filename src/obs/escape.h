// Text of strangers made safe for a log line: no control byte (CR, LF, ESC, C1 controls) and no broken UTF-8 survives.
// Each function appends at most `limit` bytes and says whether all of `text` fitted. Pure.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace shoal::obs {

inline constexpr std::size_t kNoLimit = static_cast<std::size_t>(-1);

// As it is; control bytes and bytes that are no UTF-8 become \n, \r, \t or \xNN.
bool append_plain(std::string& out, std::string_view text, std::size_t limit = kNoLimit);

// A logfmt value: bare when it is one word, else in double quotes with \" and \\; "" when empty.
bool append_value(std::string& out, std::string_view text, std::size_t limit = kNoLimit);

// A JSON string with its quotes; bytes that are no UTF-8 become U+FFFD.
bool append_json(std::string& out, std::string_view text, std::size_t limit = kNoLimit);

}  // namespace shoal::obs
