// Drive: turns the engine until something is reached, and meanwhile shows progress and watches for the end: Ctrl-C, the
// time, the bytes. One thread.
#pragma once

#include "engine.h"
#include "shoal/bench/bench.h"

namespace shoal::bench {

class Drive {
 public:
  Drive(Engine& engine, const Options& options, const Hooks& hooks);

  // False: it was stopped before `reached()`.
  template <class F>
  [[nodiscard]] bool until(F reached) {
    while (!reached()) {
      if (stopped()) return false;
      engine_.turn(std::chrono::steady_clock::now() + kTick);
      tell();
    }
    return true;
  }
  // Asks and waits. Errors: of the transport, or `cancelled` when the run was stopped.
  [[nodiscard]] base::Result<Answer> call(Ask ask);
  // Once, until then at most.
  void turn(Time until);
  void sleep(std::chrono::milliseconds time);

  [[nodiscard]] bool stopped();
  [[nodiscard]] const std::string& why() const { return why_; }  // "interrupted"; "" : it goes on
  // From now on; it takes the run from one part of the whole to another, while so many bytes come (0: unknown).
  void doing(std::string what, double from, double to, std::uint64_t bytes);
  [[nodiscard]] Engine& engine() { return engine_; }

 private:
  static constexpr std::chrono::milliseconds kTick{100};
  void tell();

  Engine& engine_;
  const Options& options_;
  const Hooks& hooks_;
  const Time began_;
  Time told_{};
  Progress progress_;
  double from_ = 0, to_ = 0;
  std::uint64_t received_before_ = 0, expected_ = 0;
  std::string why_;
};

}  // namespace shoal::bench
