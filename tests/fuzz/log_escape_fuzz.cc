// Whatever a client sends, a log value is one line without control bytes, within its limit, and JSON is JSON.
// Sources: src/obs/escape.cc
#include <cstdint>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "../../src/obs/escape.h"

using namespace shoal;

namespace {
void require(bool holds) {
  if (!holds) std::abort();
}
bool is_clean(std::string_view text) {
  for (const char c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) return false;
  }
  return true;
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::size_t limit = data[0] == 0 ? obs::kNoLimit : data[0];
  const std::string_view text(reinterpret_cast<const char*>(data + 1), size - 1);
  std::string plain, value, json;
  (void)obs::append_plain(plain, text, limit);
  (void)obs::append_value(value, text, limit);
  (void)obs::append_json(json, text, limit);
  for (const auto& out : {plain, value, json}) require(is_clean(out) && out.size() <= limit);
  if (limit >= 2) require(nlohmann::json::accept(json));
  if (value.starts_with('"')) require(value.size() >= 2 && value.ends_with('"'));
  return 0;
}
