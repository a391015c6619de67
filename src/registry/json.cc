#include "json.h"

#include "text.h"

namespace shoal::registry {
namespace {

// A linear pass in front of the real parser; brackets and commas bound what it can allocate. On broken JSON the counts
// mean nothing, but then the parser refuses it.
bool within_bounds(std::string_view text) {
  int depth = 0;
  std::size_t values = 1;
  bool in_string = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') {
        ++i;
      } else if (c == '"') {
        in_string = false;
      }
    } else if (c == '"') {
      in_string = true;
    } else if (c == '{' || c == '[') {
      ++values;
      if (++depth > kMaxJsonDepth) return false;
    } else if (c == '}' || c == ']') {
      --depth;
    } else if (c == ',') {
      ++values;
    }
  }
  return values <= kMaxJsonValues;
}

const nlohmann::json* member(const nlohmann::json& object, const char* name) {
  if (!object.is_object()) return nullptr;
  const auto it = object.find(name);
  return it == object.end() ? nullptr : &*it;
}

}  // namespace

std::optional<nlohmann::json> parse_json(std::string_view text) {
  if (!within_bounds(text)) return std::nullopt;
  auto value = nlohmann::json::parse(text.begin(), text.end(), nullptr, /*allow_exceptions=*/false);
  if (value.is_discarded()) return std::nullopt;
  return value;
}

const nlohmann::json* array_member(const nlohmann::json& object, const char* name) {
  const auto* value = member(object, name);
  return value != nullptr && value->is_array() ? value : nullptr;
}

const nlohmann::json* object_member(const nlohmann::json& object, const char* name) {
  const auto* value = member(object, name);
  return value != nullptr && value->is_object() ? value : nullptr;
}

std::string_view string_member(const nlohmann::json& object, const char* name) {
  const auto* value = member(object, name);
  if (value == nullptr || !value->is_string()) return {};
  return value->get_ref<const std::string&>();
}

std::optional<std::uint64_t> size_member(const nlohmann::json& object, const char* name) {
  const auto* value = member(object, name);
  if (value == nullptr || !value->is_number_unsigned()) return std::nullopt;
  const auto size = value->get<std::uint64_t>();
  if (size > static_cast<std::uint64_t>(INT64_MAX)) return std::nullopt;
  return size;
}

std::string dump_json(const nlohmann::json& value) {
  return value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace shoal::registry
