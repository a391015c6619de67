#include "translate.h"

namespace shoal::app {

using namespace std::chrono_literals;

store::StoreOptions read_storage(config::Section section) {
  store::StoreOptions storage;
  storage.path = section.string("path", "/var/lib/shoal");
  if (storage.path.empty()) section.fail("path", "must name a directory");
  storage.max_size = section.size("max_size", storage.max_size);
  storage.min_free = section.size("min_free", storage.min_free);
  const auto high = section.percent("high_watermark", 95);
  const auto low = section.percent("low_watermark", 90);
  if (high == 0) section.fail("high_watermark", "must be above 0");
  if (low >= high) section.fail("low_watermark", "must be below high_watermark");
  storage.high_watermark = high / 100.0;
  storage.low_watermark = low / 100.0;
  storage.index_size = section.size("index_size", storage.index_size, {16ULL << 20, 16ULL << 40});
  storage.quarantine_size = section.size("quarantine_size", storage.quarantine_size);
  storage.fill_max_age = std::chrono::duration_cast<std::chrono::hours>(
      section.duration("fill_max_age", storage.fill_max_age, {1h, 24h * 36500}));
  return storage;
}

std::uint64_t read_scrub_rate(config::Section storage) { return storage.size("scrub_rate", 0, {0, 1ULL << 40}); }

}  // namespace shoal::app
