#include "reply.h"

#include <ctime>
#include <nlohmann/json.hpp>

#include "shoal/registry/wire.h"

namespace shoal::admin {

http::Response text_reply(int status, std::string_view content_type, std::string text) {
  http::Response response;
  response.status = status;
  response.headers.add("Content-Type", content_type);
  response.headers.add("Cache-Control", "no-store");
  response.headers.add("X-Content-Type-Options", "nosniff");
  response.text = std::move(text);
  return response;
}

http::Response json_reply(int status, const nlohmann::json& value) {
  // Names come from disk: bytes that are no UTF-8 must not throw.
  return text_reply(status, "application/json",
                    value.dump(2, ' ', /*ensure_ascii=*/false, nlohmann::json::error_handler_t::replace) + "\n");
}

http::Response error_reply(int status, std::string_view code, std::string_view message) {
  return text_reply(status, "application/json", registry::error_body(code, message));
}

http::Response error_reply(const base::Error& error) {
  switch (error.kind()) {
    case base::ErrorKind::not_found: return error_reply(404, "NOT_FOUND", error.message());
    case base::ErrorKind::invalid: return error_reply(400, "BAD_REQUEST", error.message());
    case base::ErrorKind::denied: return error_reply(403, "DENIED", error.message());
    case base::ErrorKind::busy: return error_reply(409, "IN_USE", error.message());
    case base::ErrorKind::full: return error_reply(507, "NO_ROOM", error.message());
    default: return error_reply(500, "FAILED", error.message());
  }
}

http::Response if_read(const store::ReadWatch& reads, http::Response reply) {
  return reads.failed() ? error_reply(store::unreadable_index()) : std::move(reply);
}

std::optional<base::Error> refuse_read_only(const store::Store& store, std::string_view operation,
                                            std::string_view subject) {
  const auto usage = store.usage();
  if (!usage.read_only) return std::nullopt;
  auto error = base::Error(base::ErrorKind::gone, "the store is read-only: " + usage.read_only_reason);
  return subject.empty() ? error.at(operation) : error.at(operation, subject);
}

std::string time_text(base::WallTime at) {
  if (at == base::WallTime{}) return {};
  const auto seconds = std::chrono::system_clock::to_time_t(std::chrono::floor<std::chrono::seconds>(at));
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  char text[32];
  return {text, std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts)};
}

}  // namespace shoal::admin
