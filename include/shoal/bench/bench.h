// The benchmark of `shoal bench`: pulls images from registries the way clients pull, and says how that went. One
// thread, the caller's, which it blocks; it has a client of its own (src/bench/README.md). Nothing here reads the
// configuration.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "shoal/base/result.h"
#include "shoal/tls/client.h"

namespace shoal::bench {

enum class Mode {
  warm,  // the target has everything
  cold,  // it has to ask upstream for every layer, each time
  peer,  // it has nothing, and a neighbour everything
};

struct Login {
  std::string user, password;  // never printed
};

struct Options {
  std::string version;               // of this program, for the report and User-Agent
  std::vector<std::string> targets;  // "http://host:port/name:tag"; see parse_target
  std::string image;                 // "name:tag" of all of them
  std::string profile = "containerd";
  Mode mode = Mode::warm;
  std::vector<unsigned> clients{1};  // so many pull at once
  unsigned rounds = 5;
  bool pulls = true;
  std::vector<double> rates;  // manifest requests a second; none: they are not measured
  std::chrono::milliseconds rate_length{5'000};
  bool rate_head = false;  // HEAD instead of GET
  unsigned rate_connections = 64;
  std::string platform;  // "": this machine's
  unsigned parallel = 0;
  std::uint64_t piece = 0;  // bytes
  std::string ns;
  bool verify = false;
  std::vector<std::uint64_t> generate;  // bytes of each layer
  std::string upstream;                 // where generated images are pushed: as a target
  std::vector<std::string> admin;       // the targets' admin APIs, in their order
  std::string neighbour;                // of mode peer: as a target
  Login login;                          // at all of them
  std::map<std::string, Login> logins;  // by "host:port" or host; before `login`
  tls::ClientOptions tls;
  unsigned max_connections = 4096;
  std::uint64_t max_bytes = 0;                // bodies of a run in all; 0: any number
  std::chrono::seconds max_time{0};           // 0: as long as it takes
  std::chrono::milliseconds timeout{60'000};  // for a first byte, and between two
};

struct Progress {
  std::string doing;  // "round 2 of 5, 8 clients: http://127.0.0.1:5000"
  double part = 0;    // of the whole, 0 to 1
};

struct Hooks {
  std::function<void(const Progress&)> progress;  // a few times a second; may be empty
  const std::atomic<bool>* stop = nullptr;        // set: the run ends with what it has
};

struct Outcome {
  std::string table, json, html;
  std::vector<std::string> problems;  // why the exit code is 1; empty: all went well
};

// ErrorKind::invalid: the options make no sense, nothing was done. Other errors: it could not begin.
[[nodiscard]] base::Result<Outcome> run(const Options& options, const Hooks& hooks);

}  // namespace shoal::bench
