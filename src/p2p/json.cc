#include "json.h"

#include "shoal/base/format.h"
#include "shoal/base/json_bounds.h"

namespace shoal::p2p {
namespace {

base::Error invalid(const char* why) { return {base::ErrorKind::invalid, why}; }

}  // namespace

base::Result<nlohmann::json> parse_object(std::string_view text) {
  if (text.size() > kMaxBody) return invalid("the body is larger than 256 KiB");
  if (!base::json_within(text, {kMaxJsonDepth, kMaxJsonValues}))
    return invalid("the body is nested too deeply or has too many values");
  auto value = nlohmann::json::parse(text.begin(), text.end(), nullptr, /*allow_exceptions=*/false);
  if (value.is_discarded() || !value.is_object()) return invalid("the body is not a JSON object");
  return value;
}

std::string dump(const nlohmann::json& value) {
  return value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

const nlohmann::json* ObjectReader::member(const char* name) const {
  if (failed()) return nullptr;
  const auto it = object_.find(name);
  return it == object_.end() || it->is_null() ? nullptr : &*it;
}

bool ObjectReader::has(const char* name) const { return member(name) != nullptr; }

void ObjectReader::fail(std::string_view what) {
  if (!failed()) fault_ = what;
}

std::string ObjectReader::text(const char* name, std::size_t limit) {
  const auto* value = member(name);
  if (value == nullptr) return {};
  if (!value->is_string() || value->get_ref<const std::string&>().size() > limit) {
    fail(base::format("'{}' is not a string of at most {} bytes", name, limit));
    return {};
  }
  return value->get_ref<const std::string&>();
}

std::uint64_t ObjectReader::number(const char* name, std::uint64_t least, std::uint64_t most) {
  const auto* value = member(name);
  if (value == nullptr) return least;
  const auto number = value->is_number_unsigned() ? value->get<std::uint64_t>() : 0;
  if (!value->is_number_unsigned() || number < least || number > most) {
    fail(base::format("'{}' is not a whole number from {} to {}", name, least, most));
    return least;
  }
  return number;
}

bool ObjectReader::flag(const char* name) {
  const auto* value = member(name);
  if (value == nullptr) return false;
  if (!value->is_boolean()) fail(base::format("'{}' is not true or false", name));
  return value->is_boolean() && value->get<bool>();
}

const nlohmann::json* ObjectReader::object(const char* name) {
  const auto* value = member(name);
  if (value == nullptr || value->is_object()) return value;
  fail(base::format("'{}' is not an object", name));
  return nullptr;
}

const nlohmann::json* ObjectReader::list(const char* name, std::size_t limit) {
  const auto* value = member(name);
  if (value == nullptr) return nullptr;
  if (value->is_array() && value->size() <= limit) return value;
  fail(base::format("'{}' is not a list of at most {}", name, limit));
  return nullptr;
}

void ObjectReader::each_object(const char* name, std::size_t limit,
                               const std::function<void(const nlohmann::json&)>& use) {
  const auto* values = list(name, limit);
  if (values == nullptr) return;
  for (const auto& value : *values) {
    if (!value.is_object()) return fail(base::format("'{}' holds something else than objects", name));
    use(value);
    if (failed()) return;
  }
}

void ObjectReader::each_text(const char* name, std::size_t limit, const std::function<void(const std::string&)>& use) {
  const auto* values = list(name, limit);
  if (values == nullptr) return;
  for (const auto& value : *values) {
    if (!value.is_string()) return fail(base::format("'{}' holds something else than strings", name));
    use(value.get_ref<const std::string&>());
    if (failed()) return;
  }
}

}  // namespace shoal::p2p
