// Range and If-None-Match headers: every planned range lies inside the representation and is not empty.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "shoal/http/range.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace shoal::http;
  if (size < 2) return 0;
  const std::uint64_t total = data[0] * 257ULL;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  const auto plan = plan_range(text, "", "\"e\"", total);
  const bool partial = plan.kind == RangePlan::Kind::single || plan.kind == RangePlan::Kind::multi;
  if (partial == plan.ranges.empty()) std::abort();
  if ((plan.kind == RangePlan::Kind::multi) != (plan.ranges.size() > 1)) std::abort();
  std::uint64_t sum = 0;
  for (const auto& range : plan.ranges) {
    if (range.empty() || range.end > total) std::abort();
    sum += range.size();
    (void)content_range(range, total);
  }
  if (sum > total) std::abort();
  (void)not_modified(text, "\"e\"");
  return 0;
}
