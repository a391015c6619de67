#include "status.h"

#include <unistd.h>

#include <nlohmann/json.hpp>

#include "health.h"
#include "notifications.h"
#include "reply.h"

namespace shoal::admin {
namespace {

using nlohmann::json;

json health_json(const upstream::Health& health) {
  json value{{"ok", !health.open}, {"consecutive_failures", health.consecutive_failures}};
  if (health.failing_since) value["failing_since"] = time_text(*health.failing_since);
  if (!health.last_error.empty()) value["last_error"] = health.last_error;
  if (!health.refused.empty()) value["refused"] = health.refused;
  if (health.rate_limit_remaining) value["rate_limit_remaining"] = *health.rate_limit_remaining;
  if (health.rate_limit_limit) value["rate_limit_limit"] = *health.rate_limit_limit;
  if (health.rate_limited_until) value["rate_limited_until"] = time_text(*health.rate_limited_until);
  return value;
}

json upstream_json(const upstream::UpstreamState& state) {
  const auto options = state.options();
  const auto counts = state.counts();
  json value = health_json(state.health());
  value["name"] = options->name;
  value["urls"] = json::array();
  for (const auto& [url, health] : state.url_health()) {
    auto entry = health_json(health);
    entry["url"] = url;
    value["urls"].push_back(std::move(entry));
  }
  value["requests"] = {
      {"total", counts.requests},        {"tokens", counts.token_requests},   {"failures", counts.failures},
      {"2xx", counts.status_2xx},        {"3xx", counts.status_3xx},          {"4xx", counts.status_4xx},
      {"429", counts.status_429},        {"5xx", counts.status_5xx},          {"no_answer", counts.no_answer},
      {"blob_bytes", counts.body_bytes}, {"running", counts.running_fetches}, {"waiting", counts.waiting_fetches}};
  return value;
}

json usage_json(const store::Usage& usage) {
  json value{{"blobs", usage.blobs},
             {"blob_bytes", usage.blob_bytes},
             {"fill_bytes", usage.fill_bytes},
             {"manifests", usage.manifests},
             {"tags", usage.tags},
             {"index_used", usage.index_used},
             {"index_size", usage.index_size},
             {"free_bytes", usage.free_bytes},
             {"evicted_blobs", usage.evicted_blobs},
             {"evicted_bytes", usage.evicted_bytes},
             {"quarantined", usage.quarantined},
             {"read_only", usage.read_only}};
  if (usage.room_bytes != UINT64_MAX) value["room_bytes"] = usage.room_bytes;
  if (usage.read_only) value["read_only_reason"] = usage.read_only_reason;
  return value;
}

json site_json(const p2p::SiteStatus& site) {
  json trackers = json::array();
  for (const auto& tracker : site.trackers) {
    json entry{{"url", tracker.url}, {"ok", tracker.alive}};
    if (!tracker.last_error.empty()) entry["last_error"] = tracker.last_error;
    trackers.push_back(std::move(entry));
  }
  return {{"id", site.self.id},          {"url", site.self.url}, {"zone", site.self.zone},
          {"peers", site.peers.size()},  {"trackers", trackers}, {"tracked_blobs", site.totals.blobs},
          {"leases", site.totals.leases}};
}

}  // namespace

http::Response no_site_reply() {
  return error_reply(404, "NOT_FOUND", "this node has no neighbours: p2p.enabled is false");
}

http::Response peers_reply(const NodeView& node) {
  const auto site = node.site();
  if (!site) return no_site_reply();
  auto value = site_json(*site);
  value["peers"] = json::array();
  for (const auto& peer : site->peers) {
    value["peers"].push_back({{"id", peer.id}, {"url", peer.url}, {"zone", peer.zone}});
  }
  value["banned"] = json::array();
  for (const auto& ban : site->banned) {
    const auto left = std::chrono::ceil<std::chrono::seconds>(ban.left);
    value["banned"].push_back(
        {{"id", ban.node}, {"ip", ban.ip}, {"why", to_string(ban.why)}, {"seconds_left", left.count()}});
  }
  return json_reply(200, value);
}

http::Response swarms_reply(const std::vector<p2p::SwarmStatus>& swarms) {
  json list = json::array();
  for (const auto& swarm : swarms) {
    list.push_back({{"digest", swarm.digest},
                    {"size", swarm.size},
                    {"piece_length", swarm.piece_length},
                    {"pieces", swarm.pieces},
                    {"pieces_here", swarm.good},
                    {"role", swarm.role},
                    {"authors", swarm.authors},
                    {"followers", swarm.followers},
                    {"bytes_from_peers", swarm.from_peers}});
  }
  return json_reply(200, {{"swarms", list}});
}

http::Response status_reply(const Parts& parts, base::WallTime now) {
  const auto& store = parts.store;
  const auto& node = parts.node;
  const auto reasons = reasons_not_ready(store, node);
  const auto uptime = std::chrono::duration_cast<std::chrono::seconds>(now - node.started());
  json upstreams = json::array();
  for (const auto& state : node.upstreams()) {
    auto entry = health_json(state->health());
    entry["name"] = state->options()->name;
    upstreams.push_back(std::move(entry));
  }
  json value{{"version", node.version()},
             {"pid", ::getpid()},
             {"started", time_text(node.started())},
             {"uptime_seconds", uptime.count()},
             {"listen", node.addresses()},
             {"url", node.url()},
             {"connections", node.connections()},
             {"ready", reasons.empty()},
             {"reasons", reasons},
             {"store", usage_json(store.usage())},
             {"upstreams", upstreams},
             {"notifications", notifications_json(parts.notifications)}};
  if (const auto site = node.site()) value["site"] = site_json(*site);
  return json_reply(200, value);
}

http::Response upstreams_reply(const NodeView& node) {
  json upstreams = json::array();
  for (const auto& state : node.upstreams()) upstreams.push_back(upstream_json(*state));
  return json_reply(200, {{"upstreams", upstreams}});
}

http::Response reload_reply(const ReloadReport& report) {
  return json_reply(report.errors.empty() ? 200 : 422,
                    {{"applied", report.applied}, {"needs_restart", report.needs_restart}, {"errors", report.errors}});
}

}  // namespace shoal::admin
