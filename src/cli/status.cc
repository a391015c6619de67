#include <cstdio>
#include <memory>

#include "command.h"
#include "shoal/base/format.h"

namespace shoal::cli {
namespace {

using base::format;
using nlohmann::json;

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
  out += format("index: {} of {} used; evicted since start: {} blobs, {}\n", human_bytes(number(store, "index_used")),
                human_bytes(number(store, "index_size")), number(store, "evicted_blobs"),
                human_bytes(number(store, "evicted_bytes")));
  for (const auto& upstream : list("upstreams")) {
    const auto error = text(upstream, "last_error");  // of the last call; none when that was fine
    const char* how = !upstream.value("ok", false) ? "FAILING" : error.empty() ? "ok" : "the last call failed";
    out += format("upstream {}: {}", text(upstream, "name"), how);
    if (!error.empty()) out += " (" + error + ")";
    if (const auto until = text(upstream, "rate_limited_until"); !until.empty()) {
      out += ", its rate limit is reached until " + until;
    }
    if (upstream.contains("rate_limit_remaining")) {
      out += format(", {} pulls left", upstream.value("rate_limit_remaining", std::int64_t{0}));
    }
    out += "\n";
  }
  std::fputs(out.c_str(), stdout);
}

}  // namespace

void add_status(CLI::App& app, Run& run) {
  auto* command = app.add_subcommand("status", "Shows how a running node is");
  command->footer("Example:\n  shoal status --admin http://127.0.0.1:5001");
  auto flags = std::make_shared<NodeFlags>();  // shared: lives as long as CLI11's callback
  add_node_flags(*command, *flags);
  command->callback([flags, &run] {
    run = [flags] {
      int code = kFailed;
      if (const auto status = ask_json(*flags, "GET", "/api/v1/status", code)) print(*status);
      return code;
    };
  });
}

}  // namespace shoal::cli
