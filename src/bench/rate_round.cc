#include "rate_round.h"

#include "pull_round.h"
#include "shoal/base/format.h"

namespace shoal::bench {
namespace {

constexpr std::chrono::seconds kPatience{10};  // for what is open when the last request is due
constexpr std::size_t kErrorsKept = 5;

std::uint64_t nanoseconds(Time from, Time to) {
  const auto count = std::chrono::duration_cast<std::chrono::nanoseconds>(to - from).count();
  return count > 0 ? static_cast<std::uint64_t>(count) : 0;
}

void take(RateRound& round, const Answer& answer) {
  round.response.record(nanoseconds(answer.due, answer.end));
  round.service.record(nanoseconds(answer.sent, answer.end));
  round.lateness.record(nanoseconds(answer.due, answer.began));
  if (answer.error.empty() && answer.head.status == 200) {
    ++round.answered;
    return;
  }
  ++round.failed;
  if (round.errors.size() >= kErrorsKept) return;
  round.errors.push_back(answer.error.empty() ? refusal(answer.head.status, answer.body) : answer.error);
}

}  // namespace

RateRound rate_round(Drive& drive, Session& session, const Ask& pattern, double rate, std::chrono::nanoseconds length,
                     unsigned connections) {
  RateRound round;
  round.rate = rate;
  auto& engine = drive.engine();
  engine.drop_all();
  const auto limit = engine.limit_connections(connections);
  Ask ask = pattern;
  ask.route = session.route();
  ask.authorization = session.authorization();
  const auto cpu = thread_cpu_seconds();
  const auto began = std::chrono::steady_clock::now();
  const OpenLoop schedule(began, rate, length);
  auto last_answer = began;
  while (round.due < schedule.total() && !drive.stopped()) {
    const auto next = schedule.due(round.due);
    if (next > std::chrono::steady_clock::now()) {
      drive.turn(next);
      continue;
    }
    ask.due = next;
    ++round.due;
    engine.start(ask, [&round, &last_answer](Answer answer) {
      take(round, answer);
      last_answer = answer.end;
    });
    if (round.due % 64 == 0) drive.turn(next);  // far behind: answers have to be read nevertheless
  }
  const auto patience = std::chrono::steady_clock::now() + kPatience;
  while (engine.running() > 0 && std::chrono::steady_clock::now() < patience && !drive.stopped()) drive.turn(patience);
  if (engine.running() > 0 && !drive.stopped()) {
    // As long as they have waited is the least that they took: leaving them out would flatter.
    const auto now = std::chrono::steady_clock::now();
    const auto open = round.due - round.answered - round.failed;
    for (std::uint64_t i = 0; i < open; ++i) round.response.record(nanoseconds(schedule.due(round.due - 1 - i), now));
    round.failed += open;
    round.errors.push_back(base::format("{} requests had no answer {} s after the last was due", open,
                                        std::chrono::seconds(kPatience).count()));
    last_answer = now;
  }
  engine.drop_all();
  engine.limit_connections(limit);
  round.seconds = std::chrono::duration<double>(last_answer - began).count();
  round.cpu_seconds = thread_cpu_seconds() - cpu;
  return round;
}

}  // namespace shoal::bench
