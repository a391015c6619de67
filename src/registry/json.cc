#include "json.h"

#include "shoal/base/json_bounds.h"
#include "text.h"

namespace shoal::registry {
namespace {

const nlohmann::json* member(const nlohmann::json& object, const char* name) {
  if (!object.is_object()) return nullptr;
  const auto it = object.find(name);
  return it == object.end() ? nullptr : &*it;
}

}  // namespace

std::optional<nlohmann::json> parse_json(std::string_view text) {
  if (!base::json_within(text, {kMaxJsonDepth, kMaxJsonValues})) return std::nullopt;
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
