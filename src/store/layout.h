// Every name on disk, built and parsed here and nowhere else. A value; any thread. Layout: src/store/README.md.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "shoal/base/digest.h"

namespace shoal::store {

inline constexpr std::string_view kFormatLine = "shoal-store 1\n";

class Layout {
 public:
  explicit Layout(std::string root) : root_(std::move(root)) {}

  [[nodiscard]] const std::string& root() const { return root_; }
  [[nodiscard]] std::string format_file() const { return root_ + "/FORMAT"; }
  [[nodiscard]] std::string lock_file() const { return root_ + "/LOCK"; }
  [[nodiscard]] std::string index_dir() const { return root_ + "/index"; }
  [[nodiscard]] std::string blobs_dir() const { return root_ + "/blobs"; }
  [[nodiscard]] std::string fills_dir() const { return root_ + "/fills"; }
  [[nodiscard]] std::string uploads_dir() const { return root_ + "/uploads"; }
  [[nodiscard]] std::string quarantine_dir() const { return root_ + "/quarantine"; }

  [[nodiscard]] std::string algorithm_dir(base::HashAlgorithm algorithm) const;  // blobs/sha256
  [[nodiscard]] std::string shard_dir(base::HashAlgorithm algorithm, unsigned shard) const;
  [[nodiscard]] std::string blob_dir(const base::Digest& digest) const;  // blobs/sha256/ab
  [[nodiscard]] std::string blob(const base::Digest& digest) const;      // blobs/sha256/ab/<hex>
  [[nodiscard]] std::string fill(const base::Digest& digest) const;      // fills/<hex>
  [[nodiscard]] std::vector<std::string> directories() const;  // whose entries change, but for the shards; there or not
  [[nodiscard]] std::vector<std::string> shard_dirs() const;   // the same
  [[nodiscard]] static std::string trial_file(const std::string& directory) { return directory + "/TRIAL"; }
  [[nodiscard]] std::string upload(const std::string& id) const { return uploads_dir() + "/" + id; }
  [[nodiscard]] std::string quarantine(const base::Digest& digest, std::string_view reason) const;

 private:
  std::string root_;
};

// The name of a file under fills/ or a blob shard: 64 hex digits are sha256, 128 are sha512. nullopt: not one of ours.
[[nodiscard]] std::optional<base::Digest> parse_content_name(std::string_view name);

// The id of an upload: 32 hex digits, lower case.
[[nodiscard]] bool is_upload_name(std::string_view name);

// A reason as a file name part: [a-z0-9-], 1 to 40 bytes.
[[nodiscard]] std::string reason_slug(std::string_view reason);

}  // namespace shoal::store
