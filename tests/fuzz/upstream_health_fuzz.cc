// HealthBook::load on any text, and what it then saves is read back the same.
// Sources: src/upstream/health_book.cc
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "../../src/upstream/health_book.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using shoal::upstream::HealthBook;
  const shoal::base::WallTime now{std::chrono::seconds(1'800'000'000)};
  const auto fresh = [] {
    HealthBook book;
    book.set_urls({"http://a", "https://b:5000"});
    return book;
  };
  HealthBook book = fresh();
  book.load({reinterpret_cast<const char*>(data), size}, now);
  const std::string saved = book.save();
  HealthBook again = fresh();
  again.load(saved, now);
  if (again.save() != saved) std::abort();
  (void)book.overall(now);
  book.failed("http://a", "again", now);
  return 0;
}
