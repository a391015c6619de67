// run(): prepares the targets, measures in the interleaved order, and has the report written.
#include <sys/resource.h>
#include <sys/utsname.h>

#include <algorithm>
#include <csignal>
#include <ctime>
#include <deque>
#include <random>
#include <thread>

#include "generate.h"
#include "plan.h"
#include "report.h"
#include "shoal/base/format.h"

namespace shoal::bench {
namespace {

using base::Error;
using base::ErrorKind;
using base::format;
using base::Result;

constexpr double kBusy = 0.9;  // of a processor: from there on the client may be what is measured
constexpr unsigned kSpareDescriptors = 64;

// As many descriptors as the system lets us have; how many connections that leaves.
unsigned raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return 1024 - kSpareDescriptors;
  limit.rlim_cur = limit.rlim_max;
  (void)::setrlimit(RLIMIT_NOFILE, &limit);  // best effort: what is in force counts
  (void)::getrlimit(RLIMIT_NOFILE, &limit);
  return static_cast<unsigned>(std::clamp<rlim_t>(limit.rlim_cur, 256, 1 << 20)) - kSpareDescriptors;
}

std::string machine() {
  utsname names{};
  (void)::uname(&names);
  return format("{} {} {}, {} processors", names.sysname, names.release, names.machine,
                std::thread::hardware_concurrency());
}

std::string utc_now() {
  const auto now = std::time(nullptr);
  std::tm parts{};
  ::gmtime_r(&now, &parts);
  char text[32];
  (void)std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text;
}

std::string_view mode_name(Mode mode) { return mode == Mode::warm ? "warm" : mode == Mode::cold ? "cold" : "peer"; }

Engine::Options engine_options(const Options& options) {
  Engine::Options engine;
  engine.max_connections = std::min(options.max_connections, raise_descriptor_limit());
  engine.first_byte_timeout = options.timeout;
  engine.stall_timeout = options.timeout;
  engine.tls = options.tls;
  return engine;
}

class Runner {
 public:
  Runner(const Options& options, Plan plan, const Hooks& hooks)
      : options_(options),
        plan_(std::move(plan)),
        engine_(engine_options(options)),
        drive_(engine_, options, hooks),
        seed_(std::random_device{}()) {
    for (const auto& target : plan_.targets)
      sessions_.emplace_back(drive_, target, login_for(options, target), options.ns);
    if (plan_.upstream)
      upstream_.emplace(drive_, *plan_.upstream, login_for(options, *plan_.upstream), std::string_view());
    if (plan_.neighbour) neighbour_.emplace(drive_, *plan_.neighbour, login_for(options, *plan_.neighbour), options.ns);
    images_.resize(sessions_.size());
    had_.resize(sessions_.size());
  }

  Result<Report> run() {
    describe();
    if (auto prepared = prepare(); !prepared.ok()) return prepared.error();
    const auto units = (options_.pulls ? options_.clients.size() : 0) + options_.rates.size();
    all_ = static_cast<double>(units) * options_.rounds * static_cast<double>(sessions_.size());
    auto measured = options_.pulls ? measure_pulls() : Result<void>();
    if (measured.ok()) measured = measure_rates();
    if (!measured.ok() && measured.error().kind() != ErrorKind::cancelled) {
      report_.problems.push_back(measured.error().message());
    }
    report_.ended = drive_.why();
    if (!report_.ended.empty()) report_.problems.push_back("the run ended early: " + report_.ended);
    conclude();
    return std::move(report_);
  }

 private:
  void describe() {
    report_.version = options_.version;
    report_.started = utc_now();
    report_.profile = plan_.profile.name;
    report_.mode = mode_name(options_.mode);
    report_.rounds = options_.rounds;
    report_.machine = machine();
    for (const auto& session : sessions_) report_.targets.push_back(session.target().text());
  }

  Result<void> prepare() {
    drive_.doing("preparing", 0, 0, 0);
    for (auto& session : sessions_) {
      if (auto open = session.open(); !open.ok()) return open;
    }
    if (upstream_) {
      if (auto open = upstream_->open(); !open.ok()) return open;
    }
    if (neighbour_) {
      if (auto open = neighbour_->open(); !open.ok()) return open;
    }
    if (!options_.generate.empty() && (!plan_.fresh || !options_.pulls)) {
      if (auto made = push_shared_image(); !made.ok()) return made;
    } else if (!plan_.fresh) {
      for (std::size_t i = 0; i < sessions_.size(); ++i) {
        if (auto found = resolve(i, sessions_[i].target().reference); !found.ok()) return found;
      }
    }
    if (options_.mode == Mode::warm && options_.pulls) {
      for (std::size_t i = 0; i < sessions_.size(); ++i) {
        drive_.doing("warming up " + sessions_[i].target().url, 0, 0, images_[i].bytes());
        if (auto fetched = sessions_[i].fetch_all(images_[i]); !fetched.ok()) return fetched;
        const auto warm = sessions_[i].wait_until_warm(images_[i]);
        if (!warm.ok()) return warm.error();
        if (!*warm) {
          report_.notes.push_back(sessions_[i].target().text() +
                                  ": it says that it does not keep what it has just sent");
        }
      }
    }
    return {};
  }

  Result<void> resolve(std::size_t index, const std::string& reference) {
    auto image = sessions_[index].resolve(reference, options_.platform);
    if (!image.ok()) return image.error();
    images_[index] = std::move(*image);
    if (images_[index].manifests.front().digest != images_.front().manifests.front().digest) {
      report_.notes.push_back(format("{} and {} show different images: what is compared is not the same work",
                                     sessions_.front().target().text(), sessions_[index].target().text()));
    }
    return {};
  }

  std::string next_tag() { return format("shoal-bench-{:08x}-{}", seed_, ++generated_); }

  // One image for the whole run: at the upstream, or at every target.
  Result<void> push_shared_image() {
    drive_.doing("generating layers", 0, 0, 0);
    const auto tag = next_tag();
    const auto made = generate(options_.generate, seed_ + generated_);
    drive_.doing("pushing layers", 0, 0, 0);
    if (upstream_) {
      if (auto pushed = push(*upstream_, made, tag); !pushed.ok()) return pushed;
    }
    for (std::size_t i = 0; i < sessions_.size(); ++i) {
      if (!upstream_) {
        if (auto pushed = push(sessions_[i], made, tag); !pushed.ok()) return pushed;
      }
      if (auto found = resolve(i, tag); !found.ok()) return found;
    }
    left_behind(tag);
    return {};
  }

  void left_behind(const std::string& tag) {
    if (generated_ == 1) {
      report_.notes.push_back(format("generated images stay where they were pushed, under the tags {}*",
                                     tag.substr(0, tag.rfind('-') + 1)));
    }
  }

  // So that the next pull is cold, or finds all at a neighbour.
  Result<void> make_cold(std::size_t index) {
    if (options_.mode == Mode::warm) return {};
    auto& session = sessions_[index];
    drive_.doing("preparing " + session.target().url, part(), part(), 0);
    if (plan_.fresh) {
      const auto tag = next_tag();
      const auto made = generate(options_.generate, seed_ + generated_);
      if (auto pushed = push(*upstream_, made, tag); !pushed.ok()) return pushed;
      left_behind(tag);
      if (options_.mode == Mode::peer) {
        if (auto filled = fill_neighbour(tag); !filled.ok()) return filled;
      }
      return resolve_fresh(index, tag);
    }
    if (auto gone = session.forget(options_.admin[index], images_[index], had_[index]); !gone.ok()) return gone;
    had_[index] = true;
    return options_.mode == Mode::peer ? fill_neighbour(neighbour_->target().reference) : Result<void>();
  }

  Result<void> resolve_fresh(std::size_t index, const std::string& tag) {
    auto image = sessions_[index].resolve(tag, options_.platform);
    if (!image.ok()) return image.error();
    images_[index] = std::move(*image);
    return {};
  }

  Result<void> fill_neighbour(const std::string& reference) {
    const auto image = neighbour_->resolve(reference, options_.platform);
    if (!image.ok()) return image.error();
    if (auto filled = neighbour_->fetch_all(*image); !filled.ok()) return filled;
    const auto warm = neighbour_->wait_until_warm(*image);
    if (!warm.ok()) return warm.error();
    return *warm ? Result<void>()
                 : Error(ErrorKind::gone, neighbour_->target().text() + " does not keep what it has just sent");
  }

  [[nodiscard]] double part(double further = 0) const { return (done_ + further) / all_; }

  Result<void> measure_pulls() {
    for (const auto clients : options_.clients) {
      std::vector<PullCell> cells(sessions_.size());
      auto result = Result<void>();
      for (const auto slot : interleave(options_.rounds, static_cast<unsigned>(sessions_.size()))) {
        if (drive_.stopped()) break;
        cells[slot.target].target = slot.target;
        cells[slot.target].clients = clients;
        result = measure_pull(slot, cells[slot.target]);
        if (!result.ok()) break;
      }
      for (auto& cell : cells) {
        if (!cell.rounds.empty()) report_.pulls.push_back(std::move(cell));
      }
      if (!result.ok()) return result;
      if (drive_.stopped()) return Error(ErrorKind::cancelled, drive_.why());
    }
    return {};
  }

  Result<void> measure_pull(Slot slot, PullCell& cell) {
    auto& session = sessions_[slot.target];
    if (auto ready = make_cold(slot.target); !ready.ok()) return ready;
    const auto& image = images_[slot.target];
    const auto url = session.target().url;
    drive_.doing(format("round {} of {}, {} client{}: {}", slot.round + 1, options_.rounds, cell.clients,
                        cell.clients == 1 ? "" : "s", url),
                 part(), part(1), image.bytes() * cell.clients);
    auto round = pull_round(drive_, session, plan_.profile, image, options_.ns, cell.clients, options_.verify);
    ++done_;
    if (drive_.stopped()) return Error(ErrorKind::cancelled, drive_.why());  // half a round is no figure
    const bool nothing = round.finished == 0;
    if (round.failed > 0) {
      report_.problems.push_back(format("{}: {} of {} requests failed, {} of {} pulls were whole: {}", url,
                                        round.failed, round.requests, round.finished, cell.clients,
                                        round.errors.front()));
    }
    check_sources(url, round);
    cell.rounds.push_back(std::move(round));
    if (nothing) return Error(ErrorKind::gone, format("{}: no pull came through, so the run ends here", url));
    return {};
  }

  void check_sources(const std::string& url, const PullRound& round) {
    if (options_.mode == Mode::warm || round.finished == 0) return;
    if (round.warm_layer) {
      report_.problems.push_back(format("{}: a layer came from its cache: that round was not {}", url, report_.mode));
    }
    const auto from_neighbours = round.sources[static_cast<std::size_t>(Source::neighbours)];
    if (options_.mode == Mode::peer && from_neighbours == 0) {
      report_.problems.push_back(format("{}: no answer says (Cache-Status) that its bytes come from a neighbour", url));
    }
  }

  Ask manifest_ask(const Image& image) const {
    Ask ask;
    ask.method = options_.rate_head ? "HEAD" : "GET";
    for (const auto& step : plan_pull(plan_.profile, image, options_.ns)) {
      const bool wanted = step.asks.front().what == What::manifest_head || step.asks.front().what == What::manifest;
      if (!wanted) continue;
      ask.path = step.asks.front().path;  // the first one: by tag
      ask.headers = format("Accept: {}\r\n", plan_.profile.manifest_accept);
      break;
    }
    if (!options_.rate_head) ask.expected = image.manifests.front().size;
    return ask;
  }

  Result<void> measure_rates() {
    for (const auto rate : options_.rates) {
      std::vector<RateCell> cells(sessions_.size());
      for (const auto slot : interleave(options_.rounds, static_cast<unsigned>(sessions_.size()))) {
        if (drive_.stopped()) break;
        auto& session = sessions_[slot.target];
        auto& cell = cells[slot.target];
        cell.target = slot.target;
        cell.rate = rate;
        drive_.doing(
            format("round {} of {}, {:g} manifests/s: {}", slot.round + 1, options_.rounds, rate, session.target().url),
            part(), part(), 0);
        cell.rounds.push_back(rate_round(drive_, session, manifest_ask(images_[slot.target]), rate,
                                         options_.rate_length, options_.rate_connections));
        ++done_;
        if (const auto& round = cell.rounds.back(); round.failed > 0 && !drive_.stopped()) {
          report_.problems.push_back(format("{}: {} of {} manifest requests at {:g}/s failed: {}", session.target().url,
                                            round.failed, round.due, rate,
                                            round.errors.empty() ? "" : round.errors.front()));
        }
      }
      for (auto& cell : cells) {
        if (!cell.rounds.empty()) report_.rates.push_back(std::move(cell));
      }
      if (drive_.stopped()) return Error(ErrorKind::cancelled, drive_.why());
    }
    return {};
  }

  void conclude() {
    report_.blobs = images_.front().blobs;
    report_.image_bytes = images_.front().bytes();
    report_.manifest_request = options_.rate_head ? "HEAD by tag" : "GET by tag";
    bool tls = false;
    for (const auto& session : sessions_) tls = tls || session.target().url.starts_with("https");
    report_.bodies = options_.verify ? "hashed (--verify): the client's processor time has SHA-256 in it"
                                     : "dropped in the kernel (recv with MSG_TRUNC), unread";
    if (tls && !options_.verify) {
      report_.bodies = format("decrypted by OpenSSL ({}), then dropped: the client's processor time has that in it",
                              engine_.tls_session());
    }
    for (const auto& cell : report_.pulls) {
      const auto total = cell.total();
      if (total.waited > 0) {
        report_.notes.push_back(
            format("{} of {} requests with {} clients at {} waited here for a connection (--max-connections)",
                   total.waited, total.requests, cell.clients, report_.targets[cell.target]));
      }
      const double busy = total.seconds > 0 ? total.cpu_seconds / total.seconds : 0;
      if (busy < kBusy) continue;
      report_.notes.push_back(
          format("this client was busy {:.0f} % of the time with {} clients at {}: it may be the limit, not the target",
                 100 * busy, cell.clients, report_.targets[cell.target]));
    }
    std::sort(report_.problems.begin(), report_.problems.end());
    report_.problems.erase(std::unique(report_.problems.begin(), report_.problems.end()), report_.problems.end());
  }

  const Options& options_;
  const Plan plan_;
  Engine engine_;
  Drive drive_;
  std::deque<Session> sessions_;
  std::optional<Session> upstream_, neighbour_;
  std::vector<Image> images_;  // by target
  std::vector<bool> had_;      // by target: it was pulled from there, and must be known there
  const std::uint32_t seed_;
  unsigned generated_ = 0;
  double done_ = 0, all_ = 1;
  Report report_;
};

}  // namespace

Result<Outcome> run(const Options& options, const Hooks& hooks) {
  auto plan = make_plan(options);
  if (!plan.ok()) return plan.error();
  (void)std::signal(SIGPIPE, SIG_IGN);  // OpenSSL writes with write()
  auto report = Runner(options, std::move(*plan), hooks).run();
  if (!report.ok()) return report.error();
  return Outcome{to_table(*report), to_json(*report), to_html(*report), report->problems};
}

}  // namespace shoal::bench
