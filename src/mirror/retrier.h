// Retrier: one upstream question, asked again by policy until it is answered or the failure is final. One loop.
#pragma once

#include <functional>
#include <utility>
#include <variant>

#include "explain.h"
#include "shoal/base/loop.h"
#include "shoal/upstream/upstream.h"

namespace shoal::mirror {

template <class T>
class Retrier {
 public:
  using Outcome = upstream::Outcome<T>;
  using Ask = std::function<upstream::Call(upstream::Registry::Done<T>)>;

  // `done` runs once, later. Dropping the Retrier cancels.
  Retrier(base::Loop& loop, upstream::Registry& upstream, const upstream::RetryPolicy& policy, Ask ask,
          base::UniqueFunction<void(Outcome)> done)
      : loop_(loop), upstream_(upstream), policy_(policy), ask_(std::move(ask)), done_(std::move(done)) {}

  void start() {
    call_ = ask_([this](Outcome outcome) { answered(std::move(outcome)); });
  }

 private:
  void answered(Outcome outcome) {
    if (const auto* failure = std::get_if<upstream::Failure>(&outcome)) {
      const auto policy = upstream::policy_for(policy_, upstream_, *failure);
      if (const auto delay = upstream::next_delay(policy, *failure, ++failures_)) {
        timer_ = loop_.schedule(*delay, [this] { start(); });
        return;
      }
    }
    auto done = std::move(done_);
    done(std::move(outcome));  // may drop this
  }

  base::Loop& loop_;
  upstream::Registry& upstream_;
  upstream::RetryPolicy policy_;
  Ask ask_;
  base::UniqueFunction<void(Outcome)> done_;
  upstream::Call call_;
  base::Timer timer_;
  unsigned failures_ = 0;
};

}  // namespace shoal::mirror
