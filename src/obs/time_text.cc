#include "time_text.h"

#include <ctime>

namespace shoal::obs {

void append_time(std::string& out, base::WallTime at) {
  thread_local std::time_t cached_second = -1;
  thread_local char cached[24];
  thread_local std::size_t cached_size = 0;
  const auto seconds = std::chrono::floor<std::chrono::seconds>(at);
  const auto second = std::chrono::system_clock::to_time_t(seconds);
  if (second != cached_second || cached_size == 0) {
    std::tm parts{};
    ::gmtime_r(&second, &parts);
    cached_size = std::strftime(cached, sizeof cached, "%Y-%m-%dT%H:%M:%S", &parts);
    cached_second = second;
  }
  const auto ms = static_cast<unsigned>(std::chrono::floor<std::chrono::milliseconds>(at - seconds).count());
  out.append(cached, cached_size);
  const char tail[5] = {'.', static_cast<char>('0' + ms / 100), static_cast<char>('0' + ms / 10 % 10),
                        static_cast<char>('0' + ms % 10), 'Z'};
  out.append(tail, sizeof tail);
}

}  // namespace shoal::obs
