// JSON between nodes: parsed without exceptions and within bounds, so that a small body cannot grow into a large tree.
// Readers take one member each and note the first thing that is wrong; members nobody asks for are ignored.
#pragma once

#include <cstdint>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "shoal/base/result.h"

namespace shoal::p2p {

inline constexpr std::size_t kMaxBody = 256 * 1024;
inline constexpr int kMaxJsonDepth = 16;
inline constexpr std::size_t kMaxJsonValues = 32'768;

[[nodiscard]] base::Result<nlohmann::json> parse_object(std::string_view text);
[[nodiscard]] std::string dump(const nlohmann::json& value);  // invalid UTF-8 becomes U+FFFD; never throws

// One object being read. `fault` is shared by the readers of one document; after the first fault the rest is empty.
class ObjectReader {
 public:
  ObjectReader(const nlohmann::json& object, std::string& fault) : object_(object), fault_(fault) {}

  [[nodiscard]] bool has(const char* name) const;  // null counts as absent
  [[nodiscard]] std::string text(const char* name, std::size_t limit);
  [[nodiscard]] std::uint64_t number(const char* name, std::uint64_t least, std::uint64_t most);
  [[nodiscard]] bool flag(const char* name);
  // Nothing: absent, or wrong, which is a fault unless absent is fine.
  [[nodiscard]] const nlohmann::json* object(const char* name);
  void each_object(const char* name, std::size_t limit, const std::function<void(const nlohmann::json&)>& use);
  void each_text(const char* name, std::size_t limit, const std::function<void(const std::string&)>& use);
  void fail(std::string_view what);
  [[nodiscard]] bool failed() const { return !fault_.empty(); }

 private:
  const nlohmann::json* member(const char* name) const;
  const nlohmann::json* list(const char* name, std::size_t limit);

  const nlohmann::json& object_;
  std::string& fault_;
};

}  // namespace shoal::p2p
