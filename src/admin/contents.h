// Contents: what a digest leads to, as far as it is held here, and what of it is not. On the pool.
#pragma once

#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "shoal/store/store.h"

namespace shoal::admin {

struct Contents {
  struct Object {
    std::uint64_t size = 0;
    bool manifest = false;
    bool loose = false;      // a blob without a pin
    std::string platform{};  // of a manifest, where an index tells
  };
  std::map<base::Digest, Object> held, missing;
  bool too_much = false;  // more than 100,000 objects: what is here is not all

  [[nodiscard]] std::uint64_t bytes() const;  // held
  [[nodiscard]] std::uint64_t missing_bytes() const;
  [[nodiscard]] std::size_t manifests() const;  // held
  [[nodiscard]] std::size_t loose() const;
};

// Foreign layers, which need not be in a registry, are not missing.
[[nodiscard]] Contents contents_of(const store::Store& store, const base::Digest& first);
// At most `limit` of them.
[[nodiscard]] nlohmann::json objects_json(const std::map<base::Digest, Contents::Object>& objects, std::size_t limit);

}  // namespace shoal::admin
