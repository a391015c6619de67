// Limits of what commit() takes: LMDB keys are at most 511 bytes, and values must not fill the index at one blow.
#include "index_edit.h"
#include "shoal/base/format.h"

namespace shoal::store {
namespace {

constexpr std::size_t kMaxManifestBytes = 64ULL << 20;  // the real limit is upstream's; this one guards the index
constexpr std::size_t kMaxMediaTypeBytes = 1024;
constexpr std::size_t kMaxStateBytes = 1ULL << 20;

base::Result<void> check_name(std::string_view what, std::string_view name, std::size_t max) {
  if (name.empty()) return base::Error(base::ErrorKind::invalid, base::format("the {} is empty", what));
  if (name.size() > max) {
    return base::Error(base::ErrorKind::invalid,
                       base::format("the {} has {} bytes, more than {}", what, name.size(), max));
  }
  if (name.find('\0') != std::string_view::npos) {
    return base::Error(base::ErrorKind::invalid, base::format("the {} has a NUL byte", what));
  }
  return {};
}

base::Result<void> check_repository(std::string_view name) {
  return check_name("repository name", name, format::kMaxRepositoryKeyBytes);
}

struct Check {
  base::Result<void> operator()(const PutManifest& w) const {
    if (w.bytes == nullptr || w.bytes->size() > kMaxManifestBytes) {
      return base::Error(base::ErrorKind::invalid, "the manifest is missing or too large for the index");
    }
    if (w.media_type.size() > kMaxMediaTypeBytes) {
      return base::Error(base::ErrorKind::invalid, "the media type is too long for the index");
    }
    return check_repository(w.repository);
  }
  base::Result<void> operator()(const PutTag& w) const { return check_tag(w.repository, w.tag); }
  base::Result<void> operator()(const RemoveTag& w) const { return check_tag(w.repository, w.tag); }
  base::Result<void> operator()(const PutLink& w) const { return check_repository(w.repository); }
  base::Result<void> operator()(const PutAbsent& w) const {
    auto checked = check_repository(w.repository);
    return checked.ok() ? check_name("reference", w.reference, format::kMaxReferenceBytes) : checked;
  }
  base::Result<void> operator()(const PutState& w) const {
    if (w.value.size() > kMaxStateBytes) {
      return base::Error(base::ErrorKind::invalid, "the state value is too large for the index");
    }
    return check_name("state key", w.key, format::kMaxStateKeyBytes);
  }
  base::Result<void> operator()(const RemoveRepository& w) const { return check_repository(w.repository); }
  base::Result<void> operator()(const PinBlob&) const { return {}; }

  static base::Result<void> check_tag(std::string_view repository, std::string_view tag) {
    auto checked = check_repository(repository);
    return checked.ok() ? check_name("tag", tag, format::kMaxTagBytes) : checked;
  }
};

}  // namespace

base::Result<void> check_writes(std::span<const Write> writes) {
  for (const auto& write : writes) {
    auto checked = std::visit(Check{}, write);
    if (!checked.ok()) return checked.error().at("write index");
  }
  return {};
}

std::size_t approximate_bytes(const Write& write) {
  constexpr std::size_t kRecord = 512;
  if (const auto* w = std::get_if<PutManifest>(&write)) return kRecord + w->bytes->size();
  if (const auto* w = std::get_if<PutState>(&write)) return kRecord + w->value.size();
  return kRecord;
}

}  // namespace shoal::store
