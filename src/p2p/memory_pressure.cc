#include "memory_pressure.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>

namespace shoal::p2p {
namespace {

std::string text_of(const char* path) {
  const int fd = ::open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return {};
  char buffer[4096];
  const ssize_t n = ::read(fd, buffer, sizeof buffer);
  (void)::close(fd);
  return n > 0 ? std::string(buffer, static_cast<std::size_t>(n)) : std::string();
}

}  // namespace

std::optional<double> some_avg10(std::string_view text) {
  constexpr std::string_view kField = "some avg10=";
  if (!text.starts_with(kField)) return std::nullopt;
  const std::string number(text.substr(kField.size(), text.find(' ', kField.size()) - kField.size()));
  char* end = nullptr;
  const double value = std::strtod(number.c_str(), &end);
  if (number.empty() || *end != '\0' || !(value >= 0 && value <= 100)) return std::nullopt;
  return value;
}

std::string pressure_file_of(std::string_view cgroup) {
  constexpr std::string_view kUnified = "0::/";
  const auto at = cgroup.starts_with(kUnified) ? 0 : cgroup.find("\n0::/");
  if (at == std::string_view::npos) return {};
  auto path = cgroup.substr(cgroup.find(kUnified, at) + kUnified.size());
  path = path.substr(0, path.find('\n'));
  return path.empty() ? std::string() : "/sys/fs/cgroup/" + std::string(path) + "/memory.pressure";
}

std::optional<double> memory_pressure() {
  const auto own = pressure_file_of(text_of("/proc/self/cgroup"));
  if (!own.empty()) {
    if (const auto percent = some_avg10(text_of(own.c_str()))) return percent;
  }
  return some_avg10(text_of("/proc/pressure/memory"));
}

}  // namespace shoal::p2p
