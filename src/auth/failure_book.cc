#include "failure_book.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <cmath>

namespace shoal::auth {

double FailureBook::level(const Bucket& bucket, base::SteadyTime now) const {
  const std::chrono::duration<double> since = now - bucket.at;
  return std::max(0.0, bucket.level - since.count() * limit_ / 60);
}

void FailureBook::make_room(base::SteadyTime now) {
  std::erase_if(buckets_, [&](const auto& bucket) { return level(bucket.second, now) <= 0; });
  if (buckets_.size() < kMaxSources) return;
  buckets_.erase(std::min_element(buckets_.begin(), buckets_.end(), [&](const auto& a, const auto& b) {
    return level(a.second, now) < level(b.second, now);
  }));
}

void FailureBook::failed(const std::string& source, base::SteadyTime now) {
  if (limit_ <= 0) return;
  if (buckets_.size() >= kMaxSources && !buckets_.contains(source)) make_room(now);
  auto& bucket = buckets_[source];
  bucket.level = level(bucket, now) + 1;
  bucket.at = now;
}

std::optional<std::chrono::seconds> FailureBook::wait_for(const std::string& source, base::SteadyTime now) const {
  const auto found = buckets_.find(source);
  if (limit_ <= 0 || found == buckets_.end()) return std::nullopt;
  const double excess = level(found->second, now) - (limit_ - 1);
  if (excess <= 0) return std::nullopt;
  return std::chrono::seconds(std::max(1L, std::lround(std::ceil(excess * 60 / limit_))));
}

std::string source_of(std::string_view ip) {
  const std::string text(ip);
  std::array<unsigned char, 16> bytes{};
  if (::inet_pton(AF_INET6, text.c_str(), bytes.data()) != 1) return text;
  std::array<char, INET6_ADDRSTRLEN> out{};
  constexpr std::array<unsigned char, 12> kMapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  if (std::equal(kMapped.begin(), kMapped.end(), bytes.begin())) {
    return ::inet_ntop(AF_INET, bytes.data() + kMapped.size(), out.data(), out.size());
  }
  std::fill(bytes.begin() + 8, bytes.end(), static_cast<unsigned char>(0));
  return ::inet_ntop(AF_INET6, bytes.data(), out.data(), out.size()) + std::string("/64");
}

}  // namespace shoal::auth
