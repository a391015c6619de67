// Is this URL one we may use? Pure; the answer is what is wrong with it, "" when nothing is. It never repeats the URL,
// which may hold a password.
#pragma once

#include <string>
#include <string_view>

namespace shoal::app {

enum class Userinfo { refused, allowed };  // "user:password@"

[[nodiscard]] std::string url_fault(std::string_view url, Userinfo userinfo);

}  // namespace shoal::app
