#include "hosted_referrers.h"

#include <algorithm>

#include "shoal/registry/manifest.h"
#include "shoal/registry/push.h"
#include "shoal/registry/referrers.h"

namespace shoal::serve {
namespace {

constexpr std::size_t kPageBytes = 3 << 20;  // clients take 4 MiB
constexpr std::size_t kSlice = 256 << 10;

// A client that gets our list does not look at the tag any more, so what is listed there must be listed here: if the
// repository has it, and it does not itself name another subject.
registry::Descriptors under_fallback_tag(store::Store& store, const std::string& repository,
                                         const base::Digest& subject) {
  registry::Descriptors named, out;
  const auto tag = store.find_tag(repository, registry::fallback_tag(subject));
  const auto index = tag ? store.find_manifest(tag->digest) : std::nullopt;
  if (!index || index->media_type != registry::kOciIndex || !registry::add_descriptors(*index->bytes, named)) {
    return out;
  }
  for (const auto& [digest, theirs] : named) {
    const auto link = store.find_link(repository, digest);
    if (!link || !link->hosted) continue;
    const auto manifest = store.find_manifest(digest);
    if (!manifest) continue;
    const auto view = registry::parse_manifest(*manifest->bytes);
    if (!view || (view->subject && view->subject->digest != subject)) continue;
    out.emplace(digest, registry::referrer_descriptor(*manifest->bytes, digest, manifest->media_type));
  }
  return out;
}

// Rows of the index, with what the tag adds at its place. Empty: no more.
std::vector<store::Referrer> next_slice(store::Hosted& hosted, const std::string& repository,
                                        const base::Digest& subject, const std::optional<base::Digest>& last,
                                        const registry::Descriptors& added) {
  // A descriptor larger than a slice still has to come through: manifests have 4 MiB at most.
  auto slice = hosted.list_referrers(repository, subject, last, kSlice);
  if (slice.empty()) slice = hosted.list_referrers(repository, subject, last, kPageBytes + (2U << 20));
  const auto rows = slice.size();
  for (auto it = last ? added.upper_bound(*last) : added.begin(); it != added.end(); ++it) {
    if (rows > 0 && it->first > slice[rows - 1].digest) break;
    const auto end = slice.begin() + static_cast<std::ptrdiff_t>(rows);
    const auto row = std::lower_bound(slice.begin(), end, it->first,
                                      [](const auto& each, const auto& digest) { return each.digest < digest; });
    if (row == end || row->digest != it->first) slice.push_back({it->first, it->second});
  }
  std::sort(slice.begin(), slice.end(), [](const auto& a, const auto& b) { return a.digest < b.digest; });
  return slice;
}

}  // namespace

base::Result<ListPage> hosted_referrers_page(store::Store& store, const std::string& repository,
                                             const base::Digest& subject, std::optional<base::Digest> last,
                                             const std::optional<std::string>& artifact_type) {
  const store::ReadWatch reads(store);
  const auto added = under_fallback_tag(store, repository, subject);
  ListPage page;
  std::vector<std::string> taken;
  std::size_t bytes = 0;
  for (;;) {
    auto slice = next_slice(store.hosted(), repository, subject, last, added);
    if (reads.failed()) return store::unreadable_index();
    if (slice.empty()) break;
    for (auto& referrer : slice) {
      const bool wanted = !artifact_type || registry::descriptor_artifact_type(referrer.descriptor) == *artifact_type;
      if (wanted && !taken.empty() && bytes + referrer.descriptor.size() > kPageBytes) {
        page.next = registry::referrers_query(*last, artifact_type);
        page.body = registry::referrers_body(taken);
        return page;
      }
      last = referrer.digest;
      if (!wanted) continue;
      bytes += referrer.descriptor.size() + 1;
      taken.push_back(std::move(referrer.descriptor));
    }
  }
  page.body = registry::referrers_body(taken);
  return page;
}

}  // namespace shoal::serve
