// State of one Reader: where values come from, what was asked for, what was wrong.
#pragma once

#include <deque>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "node.h"
#include "shoal/config/reader.h"

namespace shoal::config::detail {

struct State {
  // A value from a flag or the environment, until somebody asks for it.
  struct Override {
    std::string text;
    const std::string* source;
    bool used = false;
  };
  struct Opened {
    const Node* node = nullptr;
    std::set<std::string, std::less<>> keys;  // asked for
    bool any_key = false;                     // the keys are the operator's to choose
  };

  std::deque<std::string> names;  // of sources; addresses stay
  std::deque<Node> made;          // nodes of overrides; addresses stay
  Node root;
  std::map<std::string, Override, std::less<>> sets;         // by path
  std::map<std::string, Override, std::less<>> environment;  // by variable
  std::map<std::string, Opened, std::less<>> opened;         // by path of the section
  std::map<std::string, const Node*, std::less<>> resolved;  // overrides that were asked for, by path
  Report report;

  const std::string& name(std::string text) { return names.emplace_back(std::move(text)); }

  // The value of `path`: from a flag, else the environment, else `in_file`. A flag's or variable's is a scalar of its
  // whole text. Null: nobody set it.
  const Node* resolve(const std::string& path, const Node* in_file);
  // The same, as a list or map: an override that looks like one is parsed as YAML.
  const Node* structured(const Node* node, const std::string& path);

  void fail(const Node* node, const std::string& path, std::string what);
  void record(const std::string& path, std::string value, const Node* node);

  void report_unknown_keys();
  void report_unused_overrides();
  void sort_problems();
};

[[nodiscard]] std::string join(std::string_view path, std::string_view key);                       // "a.b"
[[nodiscard]] std::string variable_of(std::string_view path);                                      // "SHOAL_A_B"
[[nodiscard]] std::string nearest(std::string_view wrong, const std::vector<std::string>& words);  // "" if none is near
// For settings that are shown: credentials in URLs and values of secret-looking keys become "***".
[[nodiscard]] std::string redacted(std::string_view path, std::string value);

}  // namespace shoal::config::detail
