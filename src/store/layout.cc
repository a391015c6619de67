#include "layout.h"

#include "shoal/base/format.h"

namespace shoal::store {
namespace {

constexpr base::HashAlgorithm kAlgorithms[] = {base::HashAlgorithm::sha256, base::HashAlgorithm::sha512};

}  // namespace

std::string Layout::algorithm_dir(base::HashAlgorithm algorithm) const {
  return blobs_dir() + "/" + std::string(base::to_string(algorithm));
}

std::string Layout::shard_dir(base::HashAlgorithm algorithm, unsigned shard) const {
  return base::format("{}/{:02x}", algorithm_dir(algorithm), shard & 0xffU);
}

std::string Layout::blob_dir(const base::Digest& digest) const {
  return shard_dir(digest.algorithm(), digest.bytes()[0]);
}

std::string Layout::blob(const base::Digest& digest) const { return blob_dir(digest) + "/" + digest.hex(); }

std::string Layout::fill(const base::Digest& digest) const { return fills_dir() + "/" + digest.hex(); }

std::string Layout::quarantine(const base::Digest& digest, std::string_view reason) const {
  return quarantine_dir() + "/" + digest.hex() + "." + reason_slug(reason);
}

std::vector<std::string> Layout::directories() const {
  std::vector<std::string> all{root(), blobs_dir(), fills_dir(), uploads_dir(), quarantine_dir()};
  for (const auto algorithm : kAlgorithms) all.push_back(algorithm_dir(algorithm));
  return all;
}

std::vector<std::string> Layout::shard_dirs() const {
  std::vector<std::string> all;
  for (const auto algorithm : kAlgorithms) {
    for (unsigned shard = 0; shard < 256; ++shard) all.push_back(shard_dir(algorithm, shard));
  }
  return all;
}

std::optional<base::Digest> parse_content_name(std::string_view name) {
  std::string text;
  if (name.size() == 64) {
    text = "sha256:";
  } else if (name.size() == 128) {
    text = "sha512:";
  } else {
    return std::nullopt;
  }
  auto digest = base::Digest::parse(text.append(name));
  if (!digest.ok()) return std::nullopt;
  return *digest;
}

bool is_upload_name(std::string_view name) {
  constexpr std::size_t kDigits = 32;
  return name.size() == kDigits && name.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

std::string reason_slug(std::string_view reason) {
  constexpr std::size_t kMax = 40;
  std::string slug;
  for (const char c : reason) {
    if (slug.size() == kMax) break;
    if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')) {
      slug += c;
    } else if (c >= 'A' && c <= 'Z') {
      slug += static_cast<char>(c - 'A' + 'a');
    } else if (!slug.empty() && slug.back() != '-') {
      slug += '-';
    }
  }
  while (!slug.empty() && slug.back() == '-') slug.pop_back();
  return slug.empty() ? "unknown" : slug;
}

}  // namespace shoal::store
