// Mailbox: how an answer finds its way back to the loop that asked, if anybody there still wants it.
// Shared by the asker (which drops the wish by dropping its Pending) and the owner (which answers once).
#pragma once

#include <atomic>
#include <memory>

#include "shoal/base/loop.h"
#include "shoal/mirror/mirror.h"

namespace shoal::mirror {

template <class T>
class Mailbox {
 public:
  Mailbox(base::Loop& loop, Mirror::Done<T> done) : loop_(loop), done_(std::move(done)) {}

  [[nodiscard]] base::Loop& loop() const { return loop_; }  // the asker's
  // Any thread. False once nobody waits; only a hint, the answer may cross the wish's end.
  [[nodiscard]] bool wanted() const { return wanted_.load(std::memory_order_relaxed); }

  static void answer(const std::shared_ptr<Mailbox>& box, Outcome<T> outcome) {
    if (box->answered_.exchange(true)) return;
    box->loop_.post([box, outcome = std::move(outcome)]() mutable {
      if (!box->done_) return;
      auto done = std::exchange(box->done_, nullptr);
      done(std::move(outcome));
    });
  }
  [[nodiscard]] bool answered() const { return answered_.load(); }

  class Wish final : public Pending {
   public:
    explicit Wish(std::shared_ptr<Mailbox> box) : box_(std::move(box)) {}
    ~Wish() override {
      box_->wanted_.store(false, std::memory_order_relaxed);
      box_->done_ = nullptr;  // on the asker's loop, as answer()'s posted half
    }

   private:
    std::shared_ptr<Mailbox> box_;
  };

 private:
  base::Loop& loop_;
  Mirror::Done<T> done_;  // asker's loop only
  std::atomic<bool> wanted_{true};
  std::atomic<bool> answered_{false};
};

template <class T>
using Box = std::shared_ptr<Mailbox<T>>;

}  // namespace shoal::mirror
