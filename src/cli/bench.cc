#include <unistd.h>

#include <charconv>
#include <csignal>
#include <cstdio>
#include <fstream>
#include <memory>

#include "command.h"
#include "shoal/base/base64.h"
#include "shoal/base/format.h"
#include "shoal/bench/bench.h"

namespace shoal::cli {
namespace {

using base::format;

struct BenchFlags {
  bench::Options options;
  std::string mode = "warm";
  std::string clients = "1", rates, generate, piece, max_bytes;
  double seconds = 5;
  unsigned max_time = 0, timeout = 60;
  std::string password_file, docker_config;
  bool insecure = false, json = false;
  std::string html;
};

std::atomic<bool> stop_asked{false};  // by a signal

// The second one ends the program at once.
void on_signal(int) { stop_asked.store(true, std::memory_order_relaxed); }

void watch_signals() {
  struct sigaction action {};
  action.sa_handler = &on_signal;
  action.sa_flags = static_cast<int>(SA_RESETHAND);
  (void)::sigaction(SIGINT, &action, nullptr);
  (void)::sigaction(SIGTERM, &action, nullptr);
}

std::vector<std::string> split(const std::string& list) {
  std::vector<std::string> out;
  for (std::size_t begin = 0; begin <= list.size() && !list.empty();) {
    const auto end = std::min(list.find(',', begin), list.size());
    out.push_back(list.substr(begin, end - begin));
    begin = end + 1;
  }
  return out;
}

// "64MiB", "1GiB", "4096"
std::optional<std::uint64_t> parse_size(const std::string& text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{}) return std::nullopt;
  const std::string unit(end, text.data() + text.size());
  unsigned shift = 0;
  if (unit == "KiB")
    shift = 10;
  else if (unit == "MiB")
    shift = 20;
  else if (unit == "GiB")
    shift = 30;
  else if (unit == "TiB")
    shift = 40;
  else if (!unit.empty() && unit != "B")
    return std::nullopt;
  if (value > (~std::uint64_t{0} >> shift)) return std::nullopt;
  return value << shift;
}

int wrong_use(const std::string& text) {
  std::fprintf(stderr, "shoal: %s\n", text.c_str());
  return kWrongUse;
}

// "" or what is wrong.
std::string take_lists(BenchFlags& flags) {
  auto& options = flags.options;
  options.clients.clear();
  for (const auto& text : split(flags.clients)) {
    unsigned value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size()) return "--clients is a list of numbers: 1,8,32";
    options.clients.push_back(value);
  }
  if (options.clients.empty()) return "--clients is a list of numbers: 1,8,32";
  for (const auto& text : split(flags.rates)) {
    double value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size()) return "--manifests is a list of rates: 500,2000";
    options.rates.push_back(value);
  }
  for (const auto& text : split(flags.generate)) {
    const auto size = parse_size(text);
    if (!size) return format("--generate is a list of sizes, 1GiB,64MiB; '{}' is none", text);
    options.generate.push_back(*size);
  }
  for (auto [text, to, name] : {std::tuple{&flags.piece, &options.piece, "--piece"},
                                std::tuple{&flags.max_bytes, &options.max_bytes, "--max-bytes"}}) {
    if (text->empty()) continue;
    const auto size = parse_size(*text);
    if (!size || *size == 0) return format("{} is a size: 16MiB", name);
    *to = *size;
  }
  if (flags.seconds < 0.1 || flags.seconds > 3600) return "--seconds is 0.1 to 3600";
  if (flags.timeout < 1 || flags.timeout > 3600) return "--timeout is 1 to 3600";
  if (options.max_connections < 1 || options.rate_connections < 1) return "connections: at least one";
  return {};
}

// "" or what is wrong. Nothing of the files is ever printed.
std::string read_logins(BenchFlags& flags) {
  if (!flags.options.login.user.empty()) {
    std::ifstream file(flags.password_file);
    auto& password = flags.options.login.password;
    if (!file || !std::getline(file, password)) {
      return format("cannot read a password from '{}'", flags.password_file);
    }
    if (password.ends_with('\r')) password.pop_back();
  }
  if (flags.docker_config.empty()) return {};
  std::ifstream file(flags.docker_config);
  const auto parsed = nlohmann::json::parse(file, nullptr, /*allow_exceptions=*/false);
  if (!parsed.is_object()) return format("'{}' is no config.json of Docker", flags.docker_config);
  const auto auths = parsed.value("auths", nlohmann::json::object());
  for (const auto& [name, entry] : auths.items()) {
    if (!entry.is_object() || !entry.contains("auth") || !entry["auth"].is_string()) continue;  // in a helper
    const auto plain = base::from_base64(entry["auth"].get<std::string>());
    const auto colon = plain ? plain->find(':') : std::string::npos;
    if (colon == std::string::npos) continue;
    auto host = name.substr(name.find("://") == std::string::npos ? 0 : name.find("://") + 3);
    host = host.substr(0, host.find('/'));
    if (host == "index.docker.io") host = "docker.io";
    flags.options.logins[host] = {plain->substr(0, colon), plain->substr(colon + 1)};
  }
  return {};
}

// On a terminal a bar; elsewhere a line every ten seconds.
class BenchProgress {
 public:
  ~BenchProgress() { clear(); }
  void show(const bench::Progress& progress) {
    const int percent = static_cast<int>(progress.part * 100);
    if (!terminal_) {
      const auto now = std::chrono::steady_clock::now();
      if (now - last_ < std::chrono::seconds(10)) return;
      last_ = now;
      std::fprintf(stderr, "%d%%  %s\n", percent, progress.doing.c_str());
      return;
    }
    const auto full = static_cast<std::size_t>(progress.part * 20);
    std::fprintf(stderr, "\r\x1b[K[%s%s] %3d%%  %s", std::string(full, '#').c_str(),
                 std::string(20 - std::min<std::size_t>(full, 20), '.').c_str(), percent, progress.doing.c_str());
    std::fflush(stderr);
    shown_ = true;
  }
  void clear() {
    if (shown_) std::fputs("\r\x1b[K", stderr);
    shown_ = false;
  }

 private:
  const bool terminal_ = ::isatty(STDERR_FILENO) == 1;
  bool shown_ = false;
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
};

int print(const BenchFlags& flags, const bench::Outcome& outcome) {
  std::fputs(flags.json ? outcome.json.c_str() : outcome.table.c_str(), stdout);
  if (flags.json) {
    for (const auto& problem : outcome.problems) std::fprintf(stderr, "shoal: %s\n", problem.c_str());
  }
  int code = outcome.problems.empty() ? kFine : kFailed;
  if (!flags.html.empty()) {
    std::ofstream file(flags.html);
    file << outcome.html;
    if (!file.flush()) {
      std::fprintf(stderr, "shoal: cannot write '%s'\n", flags.html.c_str());
      code = kFailed;
    }
  }
  return code;
}

int run_bench(BenchFlags flags) {
  auto& options = flags.options;
  if (flags.mode == "warm")
    options.mode = bench::Mode::warm;
  else if (flags.mode == "cold")
    options.mode = bench::Mode::cold;
  else if (flags.mode == "peer")
    options.mode = bench::Mode::peer;
  else
    return wrong_use("--mode is warm, cold or peer");
  if (const auto wrong = take_lists(flags); !wrong.empty()) return wrong_use(wrong);
  options.version = SHOAL_VERSION;
  options.rate_length = std::chrono::milliseconds(static_cast<std::int64_t>(flags.seconds * 1000));
  options.max_time = std::chrono::seconds(flags.max_time);
  options.timeout = std::chrono::seconds(flags.timeout);
  options.tls.verify = !flags.insecure;
  if (const auto wrong = read_logins(flags); !wrong.empty()) {
    std::fprintf(stderr, "shoal: %s\n", wrong.c_str());
    return kFailed;
  }
  if (!flags.html.empty() && !std::ofstream(flags.html, std::ios::app)) {  // now, not after minutes
    return wrong_use(format("cannot write '{}'", flags.html));
  }
  watch_signals();
  BenchProgress progress;
  bench::Hooks hooks;
  hooks.progress = [&progress](const bench::Progress& now) { progress.show(now); };
  hooks.stop = &stop_asked;
  const auto outcome = bench::run(options, hooks);
  progress.clear();
  if (outcome.ok()) return print(flags, *outcome);
  std::fprintf(stderr, "shoal: %s\n", outcome.error().message().c_str());
  return outcome.error().kind() == base::ErrorKind::invalid ? kWrongUse : kFailed;
}

void add_what(CLI::App& command, BenchFlags& flags) {
  auto& options = flags.options;
  command.add_option("target", options.targets, "http(s)://host[:port]/name[:tag][@digest]; several are compared")
      ->required();
  command.add_option("--image", options.image, "name[:tag] of all targets, which are then http://host:port alone");
  command.add_option("--profile", options.profile, "How to pull: docker, containerd (default), podman, ranged");
  command.add_option("--mode", flags.mode, "warm (default), cold or peer: what the target has when asked");
  command.add_option("--clients", flags.clients, "So many pull at once; a list is measured one after the other (1)");
  command.add_option("--rounds", options.rounds, "How often each target is measured (5)");
  command.add_option("--manifests", flags.rates, "Also manifests at these rates a second, open loop: 500,2000");
  command.add_option("--seconds", flags.seconds, "Length of each round of --manifests (5)");
  command.add_flag("--head", options.rate_head, "--manifests asks by HEAD instead of GET");
  command.add_flag("!--no-pulls", options.pulls, "Only --manifests");
  command.add_option("--platform", options.platform, "linux/arm64, or all (default: this machine's)");
  command.add_option("--parallel", options.parallel, "Layers, or pieces, at once of each client (the profile's)");
  command.add_option("--piece", flags.piece, "Bytes of a piece of profile ranged (16MiB)");
  command.add_option("--ns", options.ns, "Registry to tell a mirror as ?ns=, as containerd does");
  command.add_flag("--verify", options.verify, "Hash what comes; costs processor time, and is told");
}

void add_where(CLI::App& command, BenchFlags& flags) {
  auto& options = flags.options;
  command.add_option("--generate", flags.generate, "Push an image of such layers and pull it: 1GiB,64MiB");
  command.add_option("--upstream", options.upstream,
                     "The registry behind the targets, where --generate pushes: a target");
  command
      .add_option("--admin", options.admin,
                  "Admin API of the Shoal node that is the target, to make it forget; one each")
      ->allow_extra_args(false);
  command.add_option("--neighbour", options.neighbour, "Mode peer: the node of the site that has the layers: a target");
  auto* file = command.add_option("--password-file", flags.password_file, "Its first line is the password");
  auto* user = command.add_option("--user", options.login.user, "Logs in at the registries")->needs(file);
  file->needs(user);
  command.add_option("--docker-config", flags.docker_config, "A config.json of Docker with logins by registry");
  command.add_option("--ca-file", options.tls.ca_file, "PEM: who signed the certificates (default: the system's)");
  command.add_flag("--insecure", flags.insecure, "Take any certificate");
  command.add_option("--max-connections", options.max_connections, "At once; further requests wait (4096)");
  command.add_option("--manifest-connections", options.rate_connections, "Of --manifests (64)");
  command.add_option("--max-time", flags.max_time, "End after so many seconds, with what there is (0: no end)");
  command.add_option("--max-bytes", flags.max_bytes, "End after so many bytes: 10GiB");
  command.add_option("--timeout", flags.timeout, "Seconds without a byte until a request has failed (60)");
  command.add_flag("--json", flags.json, "Print JSON instead of the table");
  command.add_option("--html", flags.html, "Also write a page with plots there");
}

}  // namespace

void add_bench(CLI::App& app, Run& run) {
  auto* command = app.add_subcommand("bench", "Measures how fast registries and mirrors serve pulls");
  command->footer(
      "Examples:\n"
      "  shoal bench http://127.0.0.1:5000/library/alpine:3\n"
      "  shoal bench --clients 1,8,32 --html report.html http://127.0.0.1:5000/library/alpine:3 \\\n"
      "      http://127.0.0.1:6000/library/alpine:3            # two targets, interleaved and compared\n"
      "  shoal bench --image library/alpine:3 --profile docker http://127.0.0.1:5000 http://127.0.0.1:6000\n"
      "  shoal bench --mode cold --admin http://127.0.0.1:5001 http://127.0.0.1:5000/library/alpine:3\n"
      "  shoal bench --mode cold --generate 1GiB,64MiB --upstream http://127.0.0.1:7000/bench/a \\\n"
      "      http://127.0.0.1:5000/bench/a\n"
      "  shoal bench --no-pulls --manifests 1000,5000 http://127.0.0.1:5000/library/alpine:3\n\n"
      "Exit codes: 0 all came, 1 something failed or was not as the mode says (Ctrl-C, too: the report has what was\n"
      "measured until then), 2 wrong use. docs/bench.md says what the figures mean.");
  auto flags = std::make_shared<BenchFlags>();  // shared: lives as long as CLI11's callback
  add_what(*command, *flags);
  add_where(*command, *flags);
  command->callback([flags, &run] { run = [flags] { return run_bench(*flags); }; });
}

}  // namespace shoal::cli
