#include "state.h"

#include <algorithm>
#include <numeric>

#include "shoal/base/format.h"
#include "yaml.h"

namespace shoal::config::detail {
namespace {

std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t above = row[j];
      row[j] = std::min({above + 1, row[j - 1] + 1, diagonal + (a[i - 1] == b[j - 1] ? 0U : 1U)});
      diagonal = above;
    }
  }
  return row[b.size()];
}

std::string did_you_mean(const std::string& word) {
  return word.empty() ? std::string() : base::format(" (did you mean {}?)", word);
}

}  // namespace

std::string join(std::string_view path, std::string_view key) {
  return path.empty() ? std::string(key) : base::format("{}.{}", path, key);
}

std::string variable_of(std::string_view path) {
  std::string out = "SHOAL_";
  for (const char c : path) {
    const bool lower = c >= 'a' && c <= 'z';
    const bool plain = lower || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    out.push_back(lower ? static_cast<char>(c - 'a' + 'A') : plain ? c : '_');
  }
  return out;
}

std::string nearest(std::string_view wrong, const std::vector<std::string>& words) {
  if (wrong.size() > 100) return {};
  std::size_t best = std::max<std::size_t>(2, wrong.size() / 3) + 1;  // anything further is no typing mistake
  std::string out;
  for (const std::string& word : words) {
    const std::size_t distance = edit_distance(wrong, word);
    if (distance < best && distance < word.size()) {
      best = distance;
      out = word;
    }
  }
  return out;
}

std::string redacted(std::string_view path, std::string value) {
  const std::string_view key = path.substr(path.rfind('.') + 1);
  for (const std::string_view secret : {"password", "token", "secret"}) {
    if (key.ends_with(secret)) return value.empty() ? value : "***";
  }
  std::size_t from = 0;
  while ((from = value.find("://", from)) != std::string::npos) {
    from += 3;
    const std::size_t end = std::min(value.find_first_of("/?# ", from), value.size());
    const std::size_t at = value.rfind('@', end);
    if (at != std::string::npos && at >= from && at < end) value.replace(from, at - from, "***");
  }
  return value;
}

const Node* State::resolve(const std::string& path, const Node* in_file) {
  if (const auto known = resolved.find(path); known != resolved.end()) return known->second;
  Override* found = nullptr;
  // The variable counts as used even when a flag beats it.
  if (const auto it = environment.find(variable_of(path)); it != environment.end()) found = &it->second;
  if (found != nullptr) found->used = true;
  // `SHOAL_AUTH_HTPASSWD=$FORGOTTEN` must not switch logins off.
  if (found != nullptr && found->text.empty()) found = nullptr;
  if (const auto it = sets.find(path); it != sets.end()) found = &it->second;
  if (found == nullptr) return in_file;
  found->used = true;
  Node& node = made.emplace_back();
  node.kind = Node::Kind::scalar;
  node.source = found->source;
  node.text = found->text;
  resolved.emplace(path, &node);
  return &node;
}

const Node* State::structured(const Node* node, const std::string& path) {
  if (node == nullptr || node->kind != Node::Kind::scalar || node->line != 0) return node;
  const bool address = !node->text.ends_with(']') && node->text.find("]:") != std::string::npos;  // "[::]:5000"
  if (address || (!node->text.starts_with('[') && !node->text.starts_with('{'))) return node;
  const std::size_t known = report.errors.size();
  auto parsed = parse_yaml(node->text, *node->source, report.errors);
  for (std::size_t i = known; i < report.errors.size(); ++i) report.errors[i].key = path;
  return parsed ? &made.emplace_back(std::move(*parsed)) : nullptr;
}

void State::fail(const Node* node, const std::string& path, std::string what) {
  report.errors.push_back({node != nullptr ? node->where() : root.where(), path, std::move(what)});
}

void State::record(const std::string& path, std::string value, const Node* node) {
  report.settings.push_back({path, redacted(path, std::move(value)), node != nullptr ? node->where() : "default"});
}

void State::report_unknown_keys() {
  for (const auto& [path, section] : opened) {
    if (section.node == nullptr || section.any_key) continue;
    for (const Entry& entry : section.node->entries) {
      if (section.keys.contains(entry.key)) continue;
      std::string hint = nearest(entry.key, {section.keys.begin(), section.keys.end()});
      if (hint.empty()) {  // right key, wrong place
        for (const auto& [other, place] : opened) {
          if (place.keys.contains(entry.key)) hint = join(other, entry.key);
        }
      }
      Node at = entry.value;
      at.line = entry.line;
      report.errors.push_back({at.where(), join(path, entry.key), "unknown key" + did_you_mean(hint)});
    }
  }
}

void State::report_unused_overrides() {
  std::vector<std::string> paths;
  std::vector<std::string> variables;
  for (const auto& [path, section] : opened) {
    for (const auto& key : section.keys) {
      paths.push_back(join(path, key));
      variables.push_back(variable_of(paths.back()));
    }
  }
  for (const auto& [path, set] : sets) {
    if (!set.used) {
      report.errors.push_back({*set.source, path.substr(0, 100), "unknown key" + did_you_mean(nearest(path, paths))});
    }
  }
  for (const auto& [variable, value] : environment) {
    if (value.used && value.text.empty()) {
      report.warnings.push_back({*value.source, "", "is empty and counts as not set; --set key= sets an empty value"});
    }
    if (value.used) continue;
    report.warnings.push_back(
        {*value.source, "", "this variable sets nothing" + did_you_mean(nearest(variable, variables))});
  }
}

void State::sort_problems() {
  // "file:line" in the order of the file, then the others as they came.
  const auto line_of = [this](const Problem& problem) {
    const std::string& file = names.front();
    if (file.empty() || !problem.where.starts_with(file + ":")) return INT64_MAX;
    std::int64_t line = 0;
    for (const char c : problem.where.substr(file.size() + 1)) line = line * 10 + (c - '0');
    return line;
  };
  for (auto* problems : {&report.errors, &report.warnings}) {
    std::stable_sort(problems->begin(), problems->end(),
                     [&](const Problem& a, const Problem& b) { return line_of(a) < line_of(b); });
  }
}

}  // namespace shoal::config::detail
