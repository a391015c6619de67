// The getters.
#include <charconv>

#include "shoal/base/format.h"
#include "shoal/config/reader.h"
#include "state.h"

namespace shoal::config {
namespace {

using detail::Node;

std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text.substr(0, 60)) out += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '?' : c;
  return out + (text.size() > 60 ? "...\"" : "\"");
}

std::string joined(const std::vector<std::string>& items) {
  std::string out;
  for (const auto& item : items) out += (out.empty() ? "" : ", ") + item;
  return out;
}

std::vector<std::string> split_commas(std::string_view text) {
  std::vector<std::string> out;
  while (!text.empty()) {
    const std::size_t comma = text.find(',');
    std::string_view item = text.substr(0, comma);
    while (item.starts_with(' ')) item.remove_prefix(1);
    while (item.ends_with(' ')) item.remove_suffix(1);
    out.emplace_back(item);
    text.remove_prefix(comma == std::string_view::npos ? text.size() : comma + 1);
  }
  return out;
}

// One key being read: declares it, finds its value, notes what is wrong.
class Lookup {
 public:
  Lookup(detail::State& state, const std::string& section, const Node* map, std::string_view key)
      : state_(state), path_(detail::join(section, key)) {
    state.opened[section].keys.emplace(key);
    const detail::Entry* entry = map == nullptr ? nullptr : map->find(key);
    node_ = state.resolve(path_, entry == nullptr ? nullptr : &entry->value);
  }
  [[nodiscard]] const Node* node() const { return node_; }
  [[nodiscard]] const std::string& path() const { return path_; }
  void fail(std::string what) { state_.fail(node_, path_, std::move(what)); }

  // The text of a single value; nullopt, and a problem unless it is absent, otherwise.
  [[nodiscard]] std::optional<std::string_view> scalar() {
    if (node_ == nullptr) return std::nullopt;
    if (node_->kind == Node::Kind::scalar) return node_->text;
    fail(node_->kind == Node::Kind::null ? "has no value; leave the key out for the default, or write \"\""
                                         : "must be a single value");
    return std::nullopt;
  }

  // Parses, checks the bounds, records. `parse` gives an optional, `show` the text of a value.
  template <class T, class Parse, class Show>
  [[nodiscard]] T value(T otherwise, Bounds<T> bounds, std::string_view kind, Parse parse, Show show) {
    T out = otherwise;
    if (const auto text = scalar()) {
      const auto parsed = parse(*text);
      if (!parsed) {
        fail(base::format("{} is not {}", quoted(*text), kind));
      } else if (*parsed < bounds.min || *parsed > bounds.max) {
        fail(base::format("must be {} to {}, not {}", show(bounds.min), show(bounds.max), *text));
      } else {
        out = *parsed;
      }
    }
    state_.record(path_, show(out), node_);
    return out;
  }

 private:
  detail::State& state_;
  std::string path_;
  const Node* node_;
};

}  // namespace

Section Section::section(std::string_view key) {
  Lookup lookup(*state_, path_, node_, key);
  const Node* map = state_->structured(lookup.node(), lookup.path());
  if (map != nullptr && map->kind != Node::Kind::map) {
    if (map->kind != Node::Kind::null) lookup.fail("must be a map of keys to values");
    map = nullptr;
  }
  state_->opened[lookup.path()].node = map;
  return Section(*state_, lookup.path(), map);
}

std::vector<std::pair<std::string, Section>> Section::sections() {
  state_->opened[path_].any_key = true;
  std::vector<std::pair<std::string, Section>> out;
  if (node_ == nullptr) return out;
  for (const auto& entry : node_->entries) out.emplace_back(entry.key, section(entry.key));
  return out;
}

std::vector<Section> Section::items(std::string_view key) {
  Lookup lookup(*state_, path_, node_, key);
  const Node* list = state_->structured(lookup.node(), lookup.path());
  std::vector<Section> out;
  if (list == nullptr) return out;
  if (list->kind != Node::Kind::list) {
    if (list->kind != Node::Kind::map) {
      lookup.fail(list->kind == Node::Kind::null ? "has no value; write [] for none" : "must be a list of maps");
      return out;
    }
    for (auto& [name, section] : section(key).sections()) out.push_back(std::move(section));
    return out;
  }
  for (std::size_t i = 0; i < list->items.size(); ++i) {
    const Node& item = list->items[i];
    const std::string path = detail::join(lookup.path(), base::format("{}", i));
    if (item.kind != Node::Kind::map) {
      state_->fail(&item, path, "must be a map of keys to values");
      continue;
    }
    state_->opened[path].node = &item;
    out.push_back(Section(*state_, path, &item));
  }
  return out;
}

std::vector<std::pair<std::string, std::string>> Section::strings() {
  state_->opened[path_].any_key = true;
  std::vector<std::pair<std::string, std::string>> out;
  if (node_ == nullptr) return out;
  for (const auto& entry : node_->entries) out.emplace_back(entry.key, string(entry.key, ""));
  return out;
}

std::string Section::string(std::string_view key, std::string_view otherwise) {
  Lookup lookup(*state_, path_, node_, key);
  std::string out(lookup.scalar().value_or(otherwise));
  state_->record(lookup.path(), out, lookup.node());
  return out;
}

bool Section::boolean(std::string_view key, bool otherwise) {
  return Lookup(*state_, path_, node_, key)
      .value<bool>(
          otherwise, {false, true}, "true or false",
          [](std::string_view text) -> std::optional<bool> {
            if (text == "true") return true;
            if (text == "false") return false;
            return std::nullopt;
          },
          [](bool value) -> std::string { return value ? "true" : "false"; });
}

std::int64_t Section::integer(std::string_view key, std::int64_t otherwise, Bounds<std::int64_t> bounds) {
  return Lookup(*state_, path_, node_, key)
      .value<std::int64_t>(
          otherwise, bounds, "a whole number",
          [](std::string_view text) -> std::optional<std::int64_t> {
            std::int64_t value = 0;
            const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
            if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
            return value;
          },
          [](std::int64_t value) { return base::format("{}", value); });
}

std::uint64_t Section::size(std::string_view key, std::uint64_t otherwise, Bounds<std::uint64_t> bounds) {
  return Lookup(*state_, path_, node_, key)
      .value<std::uint64_t>(otherwise, bounds, "a size such as 512KiB, 10MiB or 50GiB", parse_size, format_size);
}

std::chrono::milliseconds Section::duration(std::string_view key, std::chrono::milliseconds otherwise,
                                            Bounds<std::chrono::milliseconds> bounds) {
  return Lookup(*state_, path_, node_, key)
      .value<std::chrono::milliseconds>(otherwise, bounds, "a time such as 500ms, 15s, 10m, 2h or 7d", parse_duration,
                                        format_duration);
}

unsigned Section::percent(std::string_view key, unsigned otherwise) {
  return Lookup(*state_, path_, node_, key)
      .value<unsigned>(otherwise, {0, 100}, "a percentage from 0 to 100", parse_percent,
                       [](unsigned value) { return base::format("{}", value); });
}

std::vector<std::string> Section::list(std::string_view key, std::vector<std::string> otherwise) {
  Lookup lookup(*state_, path_, node_, key);
  const Node* node = state_->structured(lookup.node(), lookup.path());
  std::vector<std::string> out = std::move(otherwise);
  if (node != nullptr) {
    out.clear();
    if (node->kind == Node::Kind::scalar) {
      out = node->line == 0 ? split_commas(node->text) : std::vector<std::string>{node->text};
    } else if (node->kind == Node::Kind::list) {
      for (const Node& item : node->items) {
        if (item.kind == Node::Kind::scalar) {
          out.push_back(item.text);
        } else {
          state_->fail(&item, lookup.path(), "every item must be a single value");
        }
      }
    } else {
      lookup.fail(node->kind == Node::Kind::null ? "has no value; write [] for none" : "must be a list");
    }
  }
  state_->record(lookup.path(), joined(out), lookup.node());
  return out;
}

std::size_t Section::choice_index(std::string_view key, std::size_t otherwise,
                                  const std::vector<std::string_view>& words) {
  Lookup lookup(*state_, path_, node_, key);
  std::size_t index = otherwise;
  if (const auto text = lookup.scalar()) {
    std::string known;
    bool found = false;
    for (std::size_t i = 0; i < words.size(); ++i) {
      known += (i == 0 ? "" : ", ") + std::string(words[i]);
      if (words[i] == *text) {
        index = i;
        found = true;
      }
    }
    if (!found) lookup.fail(base::format("{} is none of {}", quoted(*text), known));
  }
  state_->record(lookup.path(), std::string(words[index]), lookup.node());
  return index;
}

bool Section::has(std::string_view key) { return Lookup(*state_, path_, node_, key).node() != nullptr; }

bool Section::is_null(std::string_view key) {
  const Node* node = Lookup(*state_, path_, node_, key).node();
  return node != nullptr && node->kind == Node::Kind::null;
}

std::string Section::where(std::string_view key) const {
  if (key.empty()) return node_ != nullptr ? node_->where() : state_->root.where();
  const detail::Entry* entry = node_ == nullptr ? nullptr : node_->find(key);
  const Node* node = state_->resolve(detail::join(path_, key), entry == nullptr ? nullptr : &entry->value);
  return node == nullptr ? "default" : node->where();
}

void Section::fail(std::string_view key, std::string what) {
  const std::string place = where(key);
  state_->report.errors.push_back(
      {place == "default" ? where("") : place, key.empty() ? path_ : detail::join(path_, key), std::move(what)});
}

void Section::warn(std::string_view key, std::string what) {
  const std::string place = where(key);
  state_->report.warnings.push_back(
      {place == "default" ? where("") : place, key.empty() ? path_ : detail::join(path_, key), std::move(what)});
}

}  // namespace shoal::config
