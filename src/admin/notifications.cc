#include "notifications.h"

#include <nlohmann/json.hpp>

#include "reply.h"

namespace shoal::admin {
namespace {

using nlohmann::json;

http::Response unknown_endpoint(const std::string& name) {
  return error_reply(404, "NOT_FOUND", "no endpoint of notifications is called " + name);
}

json endpoint_json(const notify::EndpointStatus& status) {
  json value{{"name", status.name},
             {"url", status.origin},
             {"format", status.format},
             {"ok", status.failures == 0},
             {"pending", status.pending},
             {"pending_bytes", status.pending_bytes},
             {"delivered", status.delivered},
             {"failed_requests", status.failed},
             {"consecutive_failures", status.failures},
             {"dropped", status.dropped},
             {"dead", status.dead},
             {"dead_letters", status.dead_letters}};
  if (!status.last_error.empty()) value["last_error"] = status.last_error;
  if (status.last_success) value["last_success"] = time_text(*status.last_success);
  if (status.next_try) value["next_try"] = time_text(*status.next_try);
  return value;
}

}  // namespace

json notifications_json(const notify::Hub* hub) {
  json list = json::array();
  if (hub == nullptr) return list;
  for (const auto& status : hub->status()) list.push_back(endpoint_json(status));
  return list;
}

http::Response notifications_reply(const notify::Hub* hub) {
  return json_reply(200, {{"endpoints", notifications_json(hub)}});
}

void list_dead(notify::Hub* hub, const std::string& name, std::size_t limit, PoolJobs::Answer answer) {
  if (hub == nullptr) return answer(unknown_endpoint(name));
  hub->list_dead(name, limit,
                 [name, answer = std::move(answer)](base::Result<std::vector<notify::DeadLetter>> letters) mutable {
                   if (!letters) {
                     return answer(letters.error().kind() == base::ErrorKind::not_found
                                       ? unknown_endpoint(name)
                                       : error_reply(letters.error().at("read the dead letters of", name)));
                   }
                   json list = json::array();
                   for (const auto& letter : *letters) {
                     list.push_back({{"at", time_text(letter.at)},
                                     {"attempts", letter.attempts},
                                     {"reason", letter.reason},
                                     {"event", json::parse(letter.event, nullptr, /*allow_exceptions=*/false)}});
                   }
                   answer(json_reply(200, {{"endpoint", name}, {"dead_letters", list}}));
                 });
}

void retry_dead(notify::Hub* hub, const std::string& name, PoolJobs::Answer answer) {
  if (hub == nullptr) return answer(unknown_endpoint(name));
  hub->retry_dead(name, [name, answer = std::move(answer)](base::Result<std::size_t> result) mutable {
    if (result) return answer(json_reply(200, {{"endpoint", name}, {"queued", *result}}));
    answer(result.error().kind() == base::ErrorKind::not_found
               ? unknown_endpoint(name)
               : error_reply(result.error().at("retry the dead letters of", name)));
  });
}

}  // namespace shoal::admin
