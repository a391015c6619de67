#include "collect_dry_run.h"

namespace shoal::store {
namespace {

constexpr std::size_t kMaxHolders = 100'000;
constexpr std::size_t kMaxShared = 1'000'000;  // beyond that a shared blob counts in each repository
constexpr std::size_t kMaxNames = 1000;

}  // namespace

base::Result<void> CollectDryRun::begin(const std::string& repository) {
  repository_ = repository;
  any_left_ = false;
  supposed_ = {};
  led_to_.reset();
  if (options_.suppose) {
    auto supposed = options_.suppose(repository);
    if (!supposed.ok()) return supposed.error();
    supposed_ = std::move(supposed).value();
  }
  if (options_.only.empty()) return {};
  led_to_ = std::make_unique<CollectMarks>(repository);
  for (const auto& [tag, digest] : supposed_.tags) led_to_->add(digest);
  for (const auto& digest : supposed_.manifests) led_to_->add(digest);
  return {};
}

bool CollectDryRun::is_gone(std::string_view tag, const base::Digest& leads_to) const {
  const auto supposed = supposed_.tags.find(tag);
  return supposed != supposed_.tags.end() && supposed->second == leads_to;
}

// The file goes with the last link: so a shared one counts when all of its links were found to be garbage.
void CollectDryRun::count(const IndexView& view, const std::vector<CollectGarbage>& garbage, GcReport& report) {
  for (const auto& [digest, manifest] : garbage) {
    if (led_to_ && !led_to_->has(digest)) continue;
    if (!manifest) {
      ++report.links_removed;
    } else if (!is_gone(digest)) {  // else whoever supposes it has counted it
      ++report.manifests_removed;
      if (report.manifests.size() < kMaxNames) report.manifests.push_back(repository_ + "@" + digest.to_string());
    }
    const auto blob = view.blob(digest);
    if (!blob) continue;
    const auto holders = view.holders(digest, kMaxHolders).size();
    if (blob->pinned || holders > 1) {
      const bool known = shared_.size() < kMaxShared || shared_.contains(digest);
      const auto links = known ? ++shared_[digest] : holders;
      if (links == 1) {
        ++report.blobs_shared;
        report.bytes_shared += blob->size;
      }
      if (blob->pinned || links < holders) continue;
      if (known) {
        --report.blobs_shared;
        report.bytes_shared -= blob->size;
      }
    }
    ++report.blobs_removed;
    report.bytes_freed += blob->size;
  }
}

void CollectDryRun::end(const Txn& txn, GcReport& report) {
  if (any_left_) return;
  const auto prefix = format::repository_prefix(repository_);
  auto cursor = txn.cursor(Table::tags);
  for (bool more = cursor.seek(prefix); more && cursor.key().starts_with(prefix); more = cursor.next()) {
    const auto tag = format::decode_tag(cursor.value());
    if (!tag || !is_gone(cursor.key().substr(prefix.size()), tag->digest)) return;
  }
  ++report.repositories_removed;
}

}  // namespace shoal::store
