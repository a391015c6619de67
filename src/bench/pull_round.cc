#include "pull_round.h"

#include <sys/resource.h>

#include <memory>

#include "shoal/base/format.h"

namespace shoal::bench {
namespace {

using base::format;

constexpr std::size_t kErrorsKept = 5;

std::uint64_t nanoseconds(Time from, Time to) {
  const auto count = std::chrono::duration_cast<std::chrono::nanoseconds>(to - from).count();
  return count > 0 ? static_cast<std::uint64_t>(count) : 0;
}

// Of one blob at one client: pieces end in any order.
struct BlobProgress {
  Time began{}, first_byte{}, end{};
  unsigned asks_left = 0;
};

// Which request for a blob was the first of the round, and where its answer came from.
struct FirstAsked {
  Time began{};
  Source source = Source::untold;
};

class Puller {
 public:
  Puller(Drive& drive, const Route* route, const std::string& authorization, const std::vector<Step>& plan,
         const Profile& profile, const Image& image, bool verify, PullRound& round,
         std::vector<FirstAsked>& first_asked)
      : drive_(drive),
        route_(route),
        authorization_(authorization),
        plan_(plan),
        profile_(profile),
        image_(image),
        verify_(verify),
        round_(round),
        first_asked_(first_asked),
        blobs_(image.blobs.size()) {
    for (const auto& step : plan) {
      for (const auto& ask : step.asks) {
        if (is_blob(ask)) ++blobs_[ask.blob].asks_left;
      }
    }
  }

  void start() {
    began_ = std::chrono::steady_clock::now();
    go_on();
  }
  [[nodiscard]] bool over() const { return over_; }

 private:
  static bool is_blob(const PlannedAsk& ask) { return ask.what == What::config || ask.what == What::layer; }

  void go_on() {
    while (!over_ && step_ < plan_.size()) {
      const auto& step = plan_[step_];
      while (next_ < step.asks.size() && (step.parallel == 0 || running_ < step.parallel || step.asks[next_].beside)) {
        send(step.asks[next_++]);
      }
      if (next_ < step.asks.size() || in_flight_ > 0) return;
      ++step_;
      next_ = 0;
    }
    if (over_) return;
    over_ = true;
    ++round_.finished;
    round_.pull.record(nanoseconds(began_, std::chrono::steady_clock::now()));
  }

  void send(const PlannedAsk& planned) {
    Ask ask;
    ask.route = route_;
    ask.method = planned.method;
    ask.path = planned.path;
    ask.headers = profile_.extra + planned.headers;
    ask.authorization = authorization_;
    ask.close = profile_.close;
    ask.expected = planned.expected;
    auto hasher = std::make_unique<base::Hasher>(base::HashAlgorithm::sha256);
    std::optional<base::Digest> digest;
    if (verify_ && is_blob(planned)) {
      if (auto parsed = base::Digest::parse(image_.blobs[planned.blob].digest); parsed.ok()) digest = *parsed;
      if (digest) *hasher = base::Hasher(digest->algorithm());
      ask.hasher = hasher.get();
    }
    ++in_flight_;
    if (!planned.beside) ++running_;
    drive_.engine().start(std::move(ask), [this, &planned, digest, hasher = std::move(hasher)](Answer answer) {
      --in_flight_;
      if (!planned.beside) --running_;
      ended(planned, answer);
      if (answer.error.empty() && digest && hasher->finish() != *digest) {
        fail(planned, "the bytes that came do not match the digest");
      }
      go_on();
    });
  }

  void ended(const PlannedAsk& planned, const Answer& answer) {
    ++round_.requests;
    round_.redirects += answer.redirects;
    if (is_blob(planned)) count(planned, answer);
    if (!answer.error.empty()) return fail(planned, answer.error);
    const int wanted = planned.partial ? 206 : 200;
    if (answer.head.status != wanted) {
      fail(planned,
           answer.head.status == 200 ? "it does not answer Range with 206" : refusal(answer.head.status, answer.body));
    } else if (is_blob(planned)) {
      done(planned, answer);
    }
  }

  void count(const PlannedAsk& planned, const Answer& answer) {
    if (answer.head.status / 100 != 2) return;
    auto& blob = round_.blobs[planned.blob];
    ++blob.requests;
    blob.bytes += answer.bytes;
    round_.bytes += answer.bytes;
    const auto source = source_of(answer.head.cache_status);
    round_.sources[static_cast<std::size_t>(source)] += answer.bytes;
    auto& first = first_asked_[planned.blob];
    if (first.began == Time{} || answer.began < first.began) first = {answer.began, source};
  }

  void done(const PlannedAsk& planned, const Answer& answer) {
    auto& progress = blobs_[planned.blob];
    if (progress.began == Time{} || answer.began < progress.began) {
      progress.began = answer.began;
      progress.first_byte = answer.first_byte;
    }
    progress.end = std::max(progress.end, answer.end);
    if (--progress.asks_left > 0) return;
    const auto first = nanoseconds(progress.began, progress.first_byte);
    const auto whole = nanoseconds(progress.began, progress.end);
    auto& blob = round_.blobs[planned.blob];
    blob.first_byte.record(first);
    blob.whole.record(whole);
    if (planned.what != What::layer) return;
    round_.first_byte.record(first);
    round_.whole.record(whole);
  }

  // As a client: the pull has failed, and nothing further is asked for.
  void fail(const PlannedAsk& planned, const std::string& why) {
    over_ = true;
    ++round_.failed;
    if (round_.errors.size() < kErrorsKept) {
      round_.errors.push_back(format("{} {}: {}", planned.method, planned.path, why));
    }
  }

  Drive& drive_;
  const Route* route_;
  const std::string& authorization_;
  const std::vector<Step>& plan_;
  const Profile& profile_;
  const Image& image_;
  const bool verify_;
  PullRound& round_;
  std::vector<FirstAsked>& first_asked_;
  std::vector<BlobProgress> blobs_;
  Time began_{};
  std::size_t step_ = 0, next_ = 0;
  unsigned running_ = 0, in_flight_ = 0;
  bool over_ = false;
};

}  // namespace

double thread_cpu_seconds() {
  rusage used{};
  (void)::getrusage(RUSAGE_THREAD, &used);  // fails for bad arguments only
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
  };
  return seconds(used.ru_utime) + seconds(used.ru_stime);
}

PullRound pull_round(Drive& drive, Session& session, const Profile& profile, const Image& image, std::string_view ns,
                     unsigned clients, bool verify) {
  PullRound round;
  round.clients = clients;
  round.blobs.resize(image.blobs.size());
  const auto authorization = session.authorization();
  const auto plan = plan_pull(profile, image, ns);
  std::vector<FirstAsked> first_asked(image.blobs.size());
  std::vector<std::unique_ptr<Puller>> pullers;
  for (unsigned i = 0; i < clients; ++i) {
    pullers.push_back(std::make_unique<Puller>(drive, session.route(), authorization, plan, profile, image, verify,
                                               round, first_asked));
  }
  drive.engine().drop_all();  // a pull begins with new connections
  const auto connected = drive.engine().connected();
  const auto waited = drive.engine().waited();
  const auto cpu = thread_cpu_seconds();
  const auto began = std::chrono::steady_clock::now();
  for (auto& puller : pullers) puller->start();
  // Those of a client that has failed, too: the next round must have the target for itself.
  if (!drive.until([&drive] { return drive.engine().running() == 0; })) drive.engine().drop_all();
  round.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  round.cpu_seconds = thread_cpu_seconds() - cpu;
  for (std::size_t i = 0; i < first_asked.size(); ++i) {
    if (!image.blobs[i].config && first_asked[i].source == Source::cache) round.warm_layer = true;
  }
  round.connections = drive.engine().connected() - connected;
  round.waited = drive.engine().waited() - waited;
  return round;
}

}  // namespace shoal::bench
