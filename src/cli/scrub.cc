#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <memory>
#include <thread>

#include "command.h"
#include "shoal/base/format.h"
#include "shoal/config/value.h"

namespace shoal::cli {
namespace {

using nlohmann::json;
using Steady = std::chrono::steady_clock;

constexpr std::uint64_t kStep = 256ULL << 20;

struct ScrubFlags {
  NodeFlags node;
  std::string rate;
  bool dry_run = false;
};

// Steps until one is the end of a pass.
class Pass {
 public:
  Pass(const ScrubFlags& flags, std::uint64_t rate) : node_(flags.node), rate_(rate) { node_.json = false; }

  int run() {
    int code = kFailed;
    const auto status = ask_json(node_, "GET", "/api/v1/status", code);
    if (!status) return code;
    if (const auto store = status->find("store"); store != status->end()) total_ = number(*store, "blob_bytes");
    const auto began = Steady::now();
    const auto step = rate_ == 0 ? kStep : std::clamp<std::uint64_t>(rate_, 64 << 10, kStep);
    // From the beginning: where the background is at, much may be behind it.
    std::string path = base::format("/api/v1/scrub?bytes={}&restart=1", step);
    for (bool whole = false; !whole;) {
      const auto reply = ask_json(node_, "POST", path, code, std::chrono::hours(1));
      path = base::format("/api/v1/scrub?bytes={}", step);
      if (!reply) return code;
      add(*reply);
      whole = reply->value("whole", true);
      show(Steady::now() - began);
      if (rate_ == 0 || whole) continue;
      std::this_thread::sleep_until(began + std::chrono::microseconds(static_cast<std::int64_t>(
                                                static_cast<double>(bytes_) / static_cast<double>(rate_) * 1e6)));
    }
    if (shown_) std::fputs("\r\x1b[K", stderr);
    return kFine;
  }

  [[nodiscard]] json sum() const {
    return {{"blobs", blobs_}, {"bytes", bytes_}, {"damaged", damaged_}, {"renewed", renewed_}, {"names", names_}};
  }
  [[nodiscard]] std::uint64_t damaged() const { return damaged_; }

 private:
  void add(const json& reply) {
    blobs_ += number(reply, "blobs");
    bytes_ += number(reply, "bytes");
    damaged_ += number(reply, "damaged");
    renewed_ += number(reply, "renewed");
    for (const auto& name : reply.value("names", json::array())) names_.push_back(name);
  }
  void show(Steady::duration since) {
    if (::isatty(STDERR_FILENO) != 1 || since < std::chrono::seconds(1)) return;
    shown_ = true;
    std::fprintf(stderr, "\r\x1b[Kscrubbed %s of about %s", human_bytes(bytes_).c_str(), human_bytes(total_).c_str());
    std::fflush(stderr);
  }

  NodeFlags node_;
  std::uint64_t rate_;
  std::uint64_t total_ = 0, blobs_ = 0, bytes_ = 0, damaged_ = 0, renewed_ = 0;
  json names_ = json::array();
  bool shown_ = false;
};

int foresee(const ScrubFlags& flags, std::uint64_t rate) {
  const auto at = rate == 0 ? std::string() : base::format("&rate={}", rate);
  int code = kFailed;
  const auto reply = ask_json(flags.node, "POST", "/api/v1/scrub?dry_run=1" + at, code);
  if (!reply) return code;
  std::printf("would hash %llu blobs, %s (%llu bytes)\n", static_cast<unsigned long long>(number(*reply, "blobs")),
              human_bytes(number(*reply, "bytes")).c_str(), static_cast<unsigned long long>(number(*reply, "bytes")));
  if (rate == 0) {
    std::printf("  as fast as the disk allows; --rate bounds it\n");
  } else {
    std::printf("  at %s/s: %s\n", human_bytes(rate).c_str(), human_time(number(*reply, "seconds")).c_str());
  }
  if (const auto background = number(*reply, "background_rate"); background == 0) {
    std::printf("  storage.scrub_rate is 0: nothing is hashed unless somebody asks\n");
  } else {
    std::printf("  in the background, at storage.scrub_rate (%s/s): %s each pass\n", human_bytes(background).c_str(),
                human_time(number(*reply, "background_seconds")).c_str());
  }
  return kFine;
}

int scrub(const ScrubFlags& flags) {
  const auto rate = flags.rate.empty() ? std::optional<std::uint64_t>(0) : config::parse_size(flags.rate);
  if (!rate) {
    std::fprintf(stderr, "shoal: --rate needs a size such as 50MiB\n");
    return kWrongUse;
  }
  if (flags.dry_run) return foresee(flags, *rate);
  Pass pass(flags, *rate);
  if (const int code = pass.run(); code != kFine) return code;
  const auto sum = pass.sum();
  if (flags.node.json) {
    std::printf("%s\n", sum.dump(2).c_str());
  } else {
    std::printf("scrubbed %llu blobs, %s: ", static_cast<unsigned long long>(number(sum, "blobs")),
                human_bytes(number(sum, "bytes")).c_str());
    if (pass.damaged() == 0) {
      std::printf("no damage\n");
    } else {
      std::printf("%llu damaged, in quarantine now\n", static_cast<unsigned long long>(pass.damaged()));
    }
    for (const auto& name : sum["names"]) std::printf("%s\n", name.get<std::string>().c_str());
  }
  return pass.damaged() == 0 ? kFine : kFailed;
}

}  // namespace

void add_scrub(CLI::App& app, Run& run) {
  auto* command = app.add_subcommand("scrub", "Hashes what is stored again, and takes what is damaged out of service");
  command->footer(
      "Example:\n  shoal scrub --dry-run --rate 50MiB\n  shoal scrub --rate 50MiB\n\n"
      "One pass over all blobs. A damaged one goes into quarantine: mirrored, it is fetched again when somebody asks;\n"
      "hosted, it has to be pushed again. Exit code 1 when there was any.");
  auto flags = std::make_shared<ScrubFlags>();  // shared: lives as long as CLI11's callback
  command->add_option("--rate", flags->rate, "Bytes a second at most: 50MiB (default: as fast as the disk)");
  command->add_flag("--dry-run", flags->dry_run, "Only say how much would be hashed, and how long that takes");
  add_node_flags(*command, flags->node);
  command->callback([flags, &run] { run = [flags] { return scrub(*flags); }; });
}

}  // namespace shoal::cli
