// A list of referrers: what is read of it comes out again, in pages and filtered.
#include <cstdlib>

#include "shoal/registry/referrers.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  namespace registry = shoal::registry;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  registry::Descriptors all, walked, some;
  if (!registry::add_descriptors(text, all)) return 0;
  std::optional<shoal::base::Digest> last;
  do {
    const auto page = registry::page_of(all, last, std::nullopt, 100);
    const auto before = walked.size();
    if (!registry::add_descriptors(page.body, walked)) std::abort();
    if (page.last && walked.size() == before) std::abort();
    last = page.last;
  } while (last);
  if (walked != all) std::abort();
  const auto filtered = registry::filter_referrers(text, "a/b");
  if (!filtered || !registry::add_descriptors(*filtered, some) || some.size() > all.size()) std::abort();
  return 0;
}
