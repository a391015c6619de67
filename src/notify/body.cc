// Distribution's fields: notifications/event.go of github.com/distribution/distribution (v3.0). CloudEvents 1.0.2: the
// JSON format (3.1, and 4 for batches) and the HTTP binding (3.2, 3.3).
#include "body.h"

#include <ctime>
#include <nlohmann/json.hpp>

#include "shoal/base/digest.h"
#include "shoal/base/format.h"

namespace shoal::notify {
namespace {

using Json = nlohmann::ordered_json;
using obs::Event;
using obs::EventKind;
using obs::EventObject;

constexpr std::string_view kEnvelopeType = "application/vnd.docker.distribution.events.v2+json";

std::string time_text(base::WallTime at) {  // RFC 3339
  const auto seconds = std::chrono::floor<std::chrono::seconds>(at);
  const auto us = std::chrono::duration_cast<std::chrono::microseconds>(at - seconds).count();
  const auto time = std::chrono::system_clock::to_time_t(seconds);
  std::tm parts{};
  ::gmtime_r(&time, &parts);
  return base::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:06}Z", parts.tm_year + 1900, parts.tm_mon + 1,
                      parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec, us);
}

void add(Json& object, const char* key, const std::string& value) {
  if (!value.empty()) object[key] = value;
}

// Where the content can be had, as the client addressed us; "" without a request.
std::string url_of(const Event& event) {
  if (event.request.host.empty() || event.digest.empty() || event.kind == EventKind::remove) return {};
  return base::format("{}://{}/v2/{}/{}/{}", event.request.secure ? "https" : "http", event.request.host,
                      event.repository, event.object == EventObject::blob ? "blobs" : "manifests", event.digest);
}

Json target_of(const Event& event) {
  Json target = Json::object();
  add(target, "mediaType", event.media_type);
  add(target, "digest", event.digest);
  if (!event.digest.empty() && event.kind != EventKind::remove) {
    target["size"] = event.size;
    target["length"] = event.size;
  }
  add(target, "repository", event.repository);
  if (event.kind == EventKind::mount) add(target, "fromRepository", event.from);
  add(target, "url", url_of(event));
  add(target, "tag", event.tag);
  return target;
}

Json request_of(const Event& event) {
  Json request = Json::object();
  request["id"] = event.request.id;
  add(request, "addr", event.request.peer);
  add(request, "host", event.request.host);
  request["method"] = event.request.method;
  request["useragent"] = event.request.user_agent;
  return request;
}

// Ours, not Distribution's.
void add_detail(Json& object, const Event& event) {
  Json detail = Json::object();
  detail["object"] = obs::to_string(event.object);
  add(detail, "reason", event.reason);
  if (event.kind == EventKind::fill) {
    add(detail, "upstream", event.from);
    detail["durationMs"] = event.took.count();
  }
  object["shoal"] = std::move(detail);
}

void add_common(Json& object, const Event& event) {
  object["action"] = obs::to_string(event.kind);
  object["target"] = target_of(event);
  object["request"] = request_of(event);
  object["actor"] = Json::object();
  add(object["actor"], "name", event.request.user);
}

Json distribution_event(const Event& event, const Source& source) {
  Json object{{"id", event.id}, {"timestamp", time_text(event.at)}};
  add_common(object, event);
  object["source"] = Json{{"addr", source.name}, {"instanceID", source.instance}};
  add_detail(object, event);
  return object;
}

std::string subject_of(const Event& event) {
  if (event.repository.empty()) return event.digest;
  if (!event.tag.empty()) return event.repository + ":" + event.tag;
  return event.digest.empty() ? event.repository : event.repository + "@" + event.digest;
}

Json cloud_event(const Event& event, const Source& source) {
  Json object{{"specversion", "1.0"},
              {"id", event.id},
              {"source", "shoal://" + source.name},
              {"type", base::format("dev.shoal.{}.{}", obs::to_string(event.object), obs::to_string(event.kind))},
              {"subject", subject_of(event)},
              {"time", time_text(event.at)},
              {"datacontenttype", "application/json"}};
  Json data = Json::object();
  add_common(data, event);
  add_detail(data, event);
  object["data"] = std::move(data);
  return object;
}

// Names and agents come from strangers: bytes that are no UTF-8 must not throw.
std::string text_of(const Json& json) {
  return json.dump(-1, ' ', /*ensure_ascii=*/false, Json::error_handler_t::replace);
}

}  // namespace

Body make_body(const EndpointOptions& endpoint, std::span<const Event> events, const Source& source) {
  Json list = Json::array();
  if (endpoint.format == Format::distribution) {
    for (const auto& event : events) list.push_back(distribution_event(event, source));
    return {std::string(kEnvelopeType), text_of(Json{{"events", std::move(list)}})};
  }
  for (const auto& event : events) list.push_back(cloud_event(event, source));
  if (endpoint.batch > 1) return {"application/cloudevents-batch+json", text_of(list)};
  return {"application/cloudevents+json", text_of(list.at(0))};
}

std::string event_text(const Event& event, const Source& source) { return text_of(distribution_event(event, source)); }

std::string signature(std::string_view secret, std::string_view body) {
  return "sha256=" + base::to_hex(base::hmac_sha256(secret, body));
}

}  // namespace shoal::notify
