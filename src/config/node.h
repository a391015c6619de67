// Node: one value of a YAML document with its position. Built once, then read only.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace shoal::config::detail {

struct Entry;

struct Node {
  enum class Kind { null, scalar, list, map };
  Kind kind = Kind::null;
  int line = 0;                         // from 1; 0: the source has no lines
  const std::string* source = nullptr;  // "conf/shoal.yml", "SHOAL_STORAGE_PATH"; owned by State
  std::string text;                     // of a scalar
  std::vector<Node> items;              // of a list
  std::vector<Entry> entries;           // of a map, in the order of the file; keys are unique

  [[nodiscard]] const Entry* find(std::string_view key) const;
  [[nodiscard]] std::string where() const;  // "conf/shoal.yml:12"
};

struct Entry {
  std::string key;
  int line = 0;
  Node value;
};

}  // namespace shoal::config::detail
