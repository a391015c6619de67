#include <cstdio>
#include <memory>

#include "command.h"
#include "shoal/base/format.h"

namespace shoal::cli {
namespace {

using base::format;
using nlohmann::json;

constexpr std::size_t kShortDigest = 19;  // "sha256:" and 12 digits, as other tools cut it

constexpr std::uint64_t kMuch = 1ULL << 30;  // most layers are smaller

std::string text(const json& object, const char* key) { return object.value(key, std::string()); }
std::uint64_t number(const json& object, const char* key) { return object.value(key, std::uint64_t{0}); }

void print(const json& status) {
  std::string out = format("shoal {}, pid {}, up {} s\n", text(status, "version"), number(status, "pid"),
                           number(status, "uptime_seconds"));
  const auto list = [&status](const char* key) { return status.value(key, json::array()); };
  for (const auto& address : list("listen")) out += "listening on " + address.get<std::string>() + "\n";
  out += status.value("ready", false) ? "ready\n" : "NOT ready\n";
  for (const auto& reason : list("reasons")) out += "  " + reason.get<std::string>() + "\n";
  const auto store = status.value("store", json::object());
  out +=
      format("store: {} in {} blobs, {} arriving, {} manifests, {} tags, {} free on disk\n",
             human_bytes(number(store, "blob_bytes")), number(store, "blobs"), human_bytes(number(store, "fill_bytes")),
             number(store, "manifests"), number(store, "tags"), human_bytes(number(store, "free_bytes")));
  if (const auto room = store.value("room_bytes", kMuch); room < kMuch) {
    out += format(
        "store: HARDLY ROOM: what is larger than {} is passed on without being kept "
        "(storage.max_size, storage.min_free, pins)\n",
        human_bytes(room));
  }
  out += format("index: {} of {} used; evicted since start: {} blobs, {}\n", human_bytes(number(store, "index_used")),
                human_bytes(number(store, "index_size")), number(store, "evicted_blobs"),
                human_bytes(number(store, "evicted_bytes")));
  for (const auto& upstream : list("upstreams")) {
    const auto error = text(upstream, "last_error");  // of the last call; none when that was fine
    const char* how = !upstream.value("ok", false) ? "FAILING" : error.empty() ? "ok" : "the last call failed";
    out += format("upstream {}: {}", text(upstream, "name"), how);
    if (!error.empty()) out += " (" + error + ")";
    if (const auto why = text(upstream, "refused"); !why.empty()) out += ", but REFUSES US (" + why + ")";
    if (const auto until = text(upstream, "rate_limited_until"); !until.empty()) {
      out += ", its rate limit is reached until " + until;
    }
    if (upstream.contains("rate_limit_remaining")) {
      out += format(", {} pulls left", upstream.value("rate_limit_remaining", std::int64_t{0}));
    }
    out += "\n";
  }
  if (const auto site = status.value("site", json::object()); !site.empty()) {
    const auto peers = number(site, "peers");
    out += format("site: {} neighbour{} known, as {}\n", peers, peers == 1 ? "" : "s", text(site, "url"));
    for (const auto& tracker : site.value("trackers", json::array())) {
      const auto error = text(tracker, "last_error");
      out += format("tracker {}: {}{}\n", text(tracker, "url"), tracker.value("ok", false) ? "ok" : "NO ANSWER",
                    error.empty() ? "" : " (" + error + ")");
    }
  }
  for (const auto& endpoint : list("notifications")) {
    out += format("notifications {}: {}, {} wait, {} delivered since start", text(endpoint, "name"),
                  endpoint.value("ok", false) ? "ok" : "FAILING", number(endpoint, "pending"),
                  number(endpoint, "delivered"));
    if (const auto dead = number(endpoint, "dead_letters"); dead > 0) out += format(", {} dead letters", dead);
    if (const auto dropped = number(endpoint, "dropped"); dropped > 0) out += format(", {} DROPPED", dropped);
    if (const auto error = text(endpoint, "last_error"); !error.empty()) out += " (" + error + ")";
    if (const auto next = text(endpoint, "next_try"); !next.empty()) out += ", next try " + next;
    out += "\n";
  }
  std::fputs(out.c_str(), stdout);
}

// One line for each blob in the swarm.
void print_swarms(const json& answer) {
  const auto swarms = answer.value("swarms", json::array());
  if (swarms.empty()) return (void)std::puts("no blob is in the swarm now");
  std::string out = format("{:<20}  {:>10}  {:>11}  {:<8}  {:>9}  {:>10}  {}\n", "DIGEST", "SIZE", "PIECES", "ROLE",
                           "FOLLOWERS", "FROM PEERS", "AUTHORS");
  for (const auto& swarm : swarms) {
    std::string authors;
    for (const auto& author : swarm.value("authors", json::array())) {
      authors += (authors.empty() ? "" : ", ") + author.get<std::string>();
    }
    const auto pieces = format("{}/{}", number(swarm, "pieces_here"), number(swarm, "pieces"));
    out += format("{:<20}  {:>10}  {:>11}  {:<8}  {:>9}  {:>10}  {}\n", text(swarm, "digest").substr(0, kShortDigest),
                  human_bytes(number(swarm, "size")), pieces, text(swarm, "role"), number(swarm, "followers"),
                  human_bytes(number(swarm, "bytes_from_peers")), authors.empty() ? "-" : authors);
  }
  std::fputs(out.c_str(), stdout);
}

}  // namespace

void add_status(CLI::App& app, Run& run) {
  auto* command = app.add_subcommand("status", "Shows how a running node is");
  command->footer("Example:\n  shoal status --admin http://127.0.0.1:5001\n  shoal status --swarm");
  struct Flags : NodeFlags {
    bool swarm = false;
  };
  auto flags = std::make_shared<Flags>();  // shared: lives as long as CLI11's callback
  add_node_flags(*command, *flags);
  command->add_flag("--swarm", flags->swarm, "The blobs whose pieces this node exchanges with its neighbours");
  command->callback([flags, &run] {
    run = [flags] {
      int code = kFailed;
      const auto path = flags->swarm ? "/api/v1/swarms" : "/api/v1/status";
      if (const auto answer = ask_json(*flags, "GET", path, code))
        flags->swarm ? print_swarms(*answer) : print(*answer);
      return code;
    };
  });
}

}  // namespace shoal::cli
