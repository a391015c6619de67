#include "command.h"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "shoal/base/format.h"
#include "shoal/fetch/client.h"
#include "shoal/registry/wire.h"

namespace shoal::cli {
namespace {

constexpr const char* kDefaultFile = "/etc/shoal/shoal.yml";
constexpr std::size_t kMaxAnswer = 64 << 20;

base::Result<std::string> admin_url(const NodeFlags& flags) {
  if (!flags.admin.empty()) {
    auto url = flags.admin;
    while (url.ends_with('/')) url.pop_back();
    return url.find("://") == std::string::npos ? "http://" + url : url;
  }
  auto source = settings_source(flags.config);
  source.read_secrets = false;  // an operator who asks for the status need not be allowed to read them
  const auto loaded = app::load_settings(source);
  if (!loaded.settings) {
    print_errors(loaded.errors);
    return base::Error(base::ErrorKind::invalid, "no usable configuration; --admin URL works without one");
  }
  if (!loaded.settings->admin.listen) {
    return base::Error(base::ErrorKind::invalid, "admin.listen is empty: this node has no admin API");
  }
  auto address = *loaded.settings->admin.listen;
  if (address.ip == "0.0.0.0" || address.ip.empty()) address.ip = "127.0.0.1";
  if (address.ip == "::") address.ip = "::1";
  return "http://" + address.to_string();
}

}  // namespace

void add_config_flags(CLI::App& command, ConfigFlags& flags) {
  command.add_option("--config", flags.file, "Configuration file (else $SHOAL_CONFIG, else /etc/shoal/shoal.yml)");
  command.add_option("--set", flags.set, "Overrides one key: --set storage.path=/x (may be repeated)")
      ->allow_extra_args(false)
      ->check([](const std::string& given) {  // CLI11 wants what is wrong with it, or nothing
        return given.find('=') == std::string::npos || given.front() == '=' ? "'" + given + "' is not KEY=VALUE" : "";
      });
}

std::string find_config(const ConfigFlags& flags) {
  if (!flags.file.empty()) return flags.file;
  if (const char* named = std::getenv("SHOAL_CONFIG"); named != nullptr && *named != '\0') return named;
  return ::access(kDefaultFile, F_OK) == 0 ? kDefaultFile : "";
}

app::SettingsSource settings_source(const ConfigFlags& flags) {
  app::SettingsSource source;
  source.file = find_config(flags);
  source.overrides = flags.set;
  return source;
}

void print_errors(const std::vector<std::string>& errors) {
  for (const auto& error : errors) std::fprintf(stderr, "%s\n", error.c_str());
}

void add_node_flags(CLI::App& command, NodeFlags& flags) {
  add_config_flags(command, flags.config);
  command.add_option("--admin", flags.admin, "The node's admin API (default: admin.listen of the configuration)");
  command.add_flag("--json", flags.json, "Print the answer as JSON");
}

base::Result<std::string> ask_node(const NodeFlags& flags, std::string_view method, const std::string& path,
                                   std::chrono::milliseconds patience) {
  const auto url = admin_url(flags);
  if (!url) return url.error();
  fetch::Request request;
  request.method = method;
  request.url = *url + path;
  request.headers = {{"X-Shoal", "1"}, {"Accept", "application/json"}};
  request.first_byte_timeout = patience;
  request.max_redirects = 0;
  const auto reply = fetch::fetch_blocking(request, kMaxAnswer);
  if (!reply) {
    return base::Error(
        reply.error().kind(),
        base::format("no answer from the admin API: {} (does the node run, and is this its admin.listen? "
                     "--config or --admin name another)",
                     reply.error().at("ask", *url).message()));
  }
  if (reply->head.status / 100 != 2) {
    auto words = registry::first_error(reply->body);
    if (words.empty()) words = base::format("it answered {}", reply->head.status);
    return base::Error(reply->head.status == 404 ? base::ErrorKind::not_found : base::ErrorKind::gone, words);
  }
  return reply->body;
}

std::optional<nlohmann::json> ask_json(const NodeFlags& flags, std::string_view method, const std::string& path,
                                       int& code, std::chrono::milliseconds patience) {
  code = kFailed;
  const auto body = ask_node(flags, method, path, patience);
  if (!body) {
    std::fprintf(stderr, "shoal: %s\n", body.error().message().c_str());
    return std::nullopt;
  }
  auto parsed = nlohmann::json::parse(*body, nullptr, /*allow_exceptions=*/false);
  if (!parsed.is_object()) {
    std::fprintf(stderr, "shoal: the answer is no JSON; is that the admin API of a Shoal node?\n");
    return std::nullopt;
  }
  code = kFine;
  if (!flags.json) return parsed;
  std::fputs(body->c_str(), stdout);
  return std::nullopt;
}

std::string percent_encode(std::string_view text, bool keep_slashes) {
  std::string out;
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
                       c == '_' || c == '.' || c == '~' || c == ':' || (c == '/' && keep_slashes);
    if (plain) {
      out.push_back(c);
    } else {
      out += base::format("%{:02X}", static_cast<unsigned char>(c));
    }
  }
  return out;
}

std::string human_bytes(std::uint64_t bytes) {
  constexpr const char* kUnits[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
  auto value = static_cast<double>(bytes);
  unsigned unit = 0;
  for (; value >= 1024 && unit < 5; ++unit) value /= 1024;
  return unit == 0 ? base::format("{} B", bytes) : base::format("{:.1f} {}", value, kUnits[unit]);
}

std::string human_time(std::uint64_t seconds) {
  if (seconds < 60) return base::format("{} s", seconds);
  if (seconds < 3600) return base::format("{} min", (seconds + 59) / 60);
  const auto hours = (seconds + 3599) / 3600;
  if (hours < 48) return base::format("{} h", hours);
  return hours % 24 == 0 ? base::format("{} d", hours / 24) : base::format("{} d {} h", hours / 24, hours % 24);
}

std::uint64_t number(const nlohmann::json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_number_unsigned() ? found->get<std::uint64_t>() : 0;
}

void print_json(const nlohmann::json& value) {
  std::printf("%s\n", value.dump(2, ' ', false, nlohmann::json::error_handler_t::replace).c_str());
}

void print_grace(const nlohmann::json& forecast) {
  const auto kept = forecast.value("kept_by_grace", nlohmann::json::object());
  const auto manifests = number(kept, "manifests"), blobs = number(kept, "blobs");
  if (manifests + blobs == 0) return;
  std::printf(
      "  not before it is older than registry.gc_grace (%s): %llu manifests, %llu blobs, %s (%llu bytes) more\n",
      human_time(number(forecast, "grace_seconds")).c_str(), static_cast<unsigned long long>(manifests),
      static_cast<unsigned long long>(blobs), human_bytes(number(kept, "bytes")).c_str(),
      static_cast<unsigned long long>(number(kept, "bytes")));
}

}  // namespace shoal::cli
