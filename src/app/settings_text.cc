// The effective configuration as YAML.
#include <algorithm>
#include <string_view>

#include "shoal/app/settings.h"

namespace shoal::app {
namespace {

std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out.push_back('\\');
    out.push_back(static_cast<unsigned char>(c) < 0x20 ? '?' : c);  // YAML wants escapes; none of our values has them
  }
  return out + "\"";
}

bool is_plain(std::string_view text) {
  const auto word = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '/';
  };
  return !text.empty() && word(text.front()) && !text.ends_with(':') &&
         std::all_of(text.begin(), text.end(),
                     [&word](char c) { return word(c) || c == '.' || c == '-' || c == '_' || c == ':'; });
}

std::string key_text(std::string_view key) {
  return is_plain(key) && key.find(':') == key.npos ? std::string(key) : quoted(key);
}

// Values arrive as text; these keys hold lists, written "a, b".
bool is_list(std::string_view key) {
  return key == "server.listen" || key == "server.plain_listen" || key == "admin.hosts" || key == "hosted" ||
         key == "registry.immutable_tags" || key == "p2p.trackers" || key == "p2p.allow" || key == "p2p.windows" ||
         (key.starts_with("notifications.endpoints.") &&
          (key.ends_with(".events") || key.ends_with(".repositories"))) ||
         (key.starts_with("auth.rules.") &&
          (key.ends_with(".repositories") || key.ends_with(".users") || key.ends_with(".actions"))) ||
         (key.starts_with("upstreams.") &&
          (key.ends_with(".urls") || key.ends_with(".auth_realms") || key.ends_with(".windows")));
}

std::string list_text(std::string_view items) {
  std::string out = "[";
  while (!items.empty()) {
    const auto comma = items.find(", ");
    out += (out.size() > 1 ? ", " : "") + quoted(items.substr(0, comma));
    items.remove_prefix(comma == items.npos ? items.size() : comma + 2);
  }
  return out + "]";
}

// "upstreams.docker.io.urls" is upstreams / docker.io / urls: names of upstreams, hosts and repositories hold dots.
std::vector<std::string> parts_of(const std::string& key) {
  if (key.starts_with("hosts.")) return {"hosts", key.substr(6)};
  if (key.starts_with("registry.quotas.")) return {"registry", "quotas", key.substr(16)};
  if (key.starts_with("upstreams.")) {
    const auto last = key.rfind('.');
    return {"upstreams", key.substr(10, last - 10), key.substr(last + 1)};
  }
  std::vector<std::string> parts;
  std::size_t from = 0;
  for (auto dot = key.find('.'); dot != key.npos; from = dot + 1, dot = key.find('.', from)) {
    parts.push_back(key.substr(from, dot - from));
  }
  parts.push_back(key.substr(from));
  return parts;
}

std::string value_text(const config::Setting& setting) {
  const auto& value = setting.value;
  return is_list(setting.key) ? list_text(value) : is_plain(value) ? value : quoted(value);
}

}  // namespace

std::string settings_text(const std::vector<config::Setting>& values, const std::vector<config::Setting>& waiting) {
  std::string out;
  std::vector<std::string> open;  // the sections around the last key
  for (const auto& setting : values) {
    const auto parts = parts_of(setting.key);
    std::size_t depth = 0;
    while (depth < open.size() && depth + 1 < parts.size() && open[depth] == parts[depth]) ++depth;
    open.resize(depth);
    for (; depth + 1 < parts.size(); ++depth) {
      out += std::string(depth * 2, ' ') + key_text(parts[depth]) + ":\n";
      open.push_back(parts[depth]);
    }
    out += std::string(depth * 2, ' ') + key_text(parts.back()) + ": " + value_text(setting);
    if (setting.where != "default") out += "  # " + setting.where;
    const auto later = std::find_if(waiting.begin(), waiting.end(),
                                    [&setting](const auto& other) { return other.key == setting.key; });
    if (later != waiting.end()) {
      out += setting.where == "default" ? "  # " : "; ";
      out += "after a restart: " + value_text(*later);
      if (later->where != "default") out += " (" + later->where + ")";
    }
    out += "\n";
  }
  return out;
}

}  // namespace shoal::app
