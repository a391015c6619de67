// JSON bodies of the protocol other than manifests: errors, token replies, tag lists.
#include <algorithm>
#include <cmath>

#include "json.h"
#include "shoal/base/format.h"
#include "shoal/registry/name.h"
#include "shoal/registry/wire.h"
#include "text.h"

namespace shoal::registry {
namespace {

constexpr std::size_t kMaxMessageBytes = 1024;
constexpr std::size_t kMaxExplanationBytes = 256;
constexpr std::size_t kMaxTokenBytes = 64 * 1024;
constexpr std::int64_t kMaxExpirySeconds = 365LL * 24 * 3600;

// At most `limit` bytes, not ending within a UTF-8 sequence.
std::string_view cut(std::string_view text, std::size_t limit) {
  if (text.size() <= limit) return text;
  while (limit > 0 && (static_cast<unsigned char>(text[limit]) & 0xc0) == 0x80) --limit;
  return text.substr(0, limit);
}

std::string printable(std::string_view text) {
  std::string out(text.substr(0, kMaxExplanationBytes));
  std::replace_if(
      out.begin(), out.end(), [](char c) { return c < 0x20 || c > 0x7e; }, '?');
  return out;
}

// RFC 6750 2.1 b64token, widened to what registries send: visible ASCII, so that it fits a header line.
bool usable_token(std::string_view token) {
  return !token.empty() && token.size() <= kMaxTokenBytes &&
         std::all_of(token.begin(), token.end(), [](char c) { return c > 0x20 && c < 0x7f; });
}

std::chrono::seconds expiry_of(const nlohmann::json& reply) {
  double seconds = 60;
  if (const auto it = reply.find("expires_in"); it != reply.end()) {
    if (it->is_number()) {
      seconds = it->get<double>();
    } else if (it->is_string()) {
      const auto& text = it->get_ref<const std::string&>();
      const bool digits = !text.empty() && text.size() <= 12 && std::all_of(text.begin(), text.end(), is_digit);
      if (digits) seconds = static_cast<double>(std::stoll(text));
    }
  }
  if (!(seconds >= 1)) seconds = 1;  // also NaN
  return std::chrono::seconds(static_cast<std::int64_t>(std::min(seconds, static_cast<double>(kMaxExpirySeconds))));
}

base::Error corrupt(const char* why) { return {base::ErrorKind::corrupt, why}; }

}  // namespace

std::string error_body(std::string_view code, std::string_view message) {
  const nlohmann::json error = {{"code", std::string(code)}, {"message", std::string(cut(message, kMaxMessageBytes))}};
  return dump_json({{"errors", nlohmann::json::array({error})}});
}

std::string first_error(std::string_view body) {
  const auto document = parse_json(body);
  if (!document) return {};
  const auto* errors = array_member(*document, "errors");
  if (errors == nullptr || errors->empty()) return {};
  const auto code = string_member(errors->front(), "code");
  const auto message = string_member(errors->front(), "message");
  if (code.empty() || message.empty()) return printable(code.empty() ? message : code);
  return printable(base::format("{}: {}", code.substr(0, 64), message.substr(0, kMaxExplanationBytes)));
}

base::Result<TokenReply> parse_token_reply(std::string_view body) {
  const auto document = parse_json(body);
  if (!document || !document->is_object()) return corrupt("token reply is not a JSON object");
  auto token = string_member(*document, "token");
  if (token.empty()) token = string_member(*document, "access_token");
  if (token.empty()) return corrupt("token reply has no token");
  if (!usable_token(token)) return corrupt("token reply has a token that fits no header");
  return TokenReply{.token = std::string(token), .expires_in = expiry_of(*document)};
}

base::Result<TagList> parse_tag_list(std::string_view body) {
  const auto document = parse_json(body);
  if (!document || !document->is_object()) return corrupt("tag list is not a JSON object");
  const auto it = document->find("tags");
  if (it == document->end() || !(it->is_array() || it->is_null())) return corrupt("tag list has no tags");
  TagList list;
  list.name = string_member(*document, "name");
  for (const auto& tag : *it) {
    // A name that no request could ask for is left out.
    if (tag.is_string() && valid_tag(tag.get_ref<const std::string&>())) list.tags.push_back(tag.get<std::string>());
  }
  return list;
}

std::string tag_list_body(const TagList& list) {
  nlohmann::json tags = nlohmann::json::array();
  for (const auto& tag : list.tags) tags.push_back(tag);
  return dump_json({{"name", list.name}, {"tags", std::move(tags)}});
}

}  // namespace shoal::registry
