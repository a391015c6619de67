// Courier: delivers the queue of one endpoint, in order, one request at a time. On the Hub's loop; what touches the
// disk runs on the strand. Dropping it cancels the request under way: its events stay in the queue.
//
// A request that fails holds up the queue behind it: with a receiver that is away, nothing else would arrive either.
// When the receiver answers but refuses, the events of the request are sent one by one, so that a single one it does
// not like becomes a dead letter and the others go on.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "board.h"
#include "queue.h"
#include "shoal/base/loop.h"
#include "verdict.h"

namespace shoal::notify {

class Courier {
 public:
  struct Parts {
    base::Loop& loop;
    base::Clock& clock;
    base::Executor& strand;
    Sender& sender;
  };
  // All of Parts outlive it. `seed`: of the jitter.
  Courier(const Parts& parts, std::shared_ptr<Queue> queue, std::shared_ptr<Board> board,
          std::shared_ptr<EndpointProbe> probe, std::uint32_t seed);

  void wake();       // there may be something in the queue
  void try_again();  // the options are new: what was wrong may be right now

 private:
  enum class State { idle, packing, sending, waiting };
  struct Packed {
    std::unique_ptr<Parcel> parcel;
    bool trouble = false;  // the disk would not
  };
  using Settle = base::UniqueFunction<bool(Queue&)>;  // what becomes of the last parcel; false: the disk would not

  void enter(State next) { state_ = next; }
  void next(Settle settle);
  void packed(Packed packed);
  void send();
  void answered(const base::Result<Sender::Reply>& result);
  void succeeded();
  void failed(Verdict verdict, const std::string& why, std::optional<std::chrono::seconds> retry_after);
  void bury(std::size_t n, const std::string& why, unsigned attempts);
  [[nodiscard]] std::size_t expired() const;
  void wait(std::chrono::milliseconds delay);
  [[nodiscard]] std::uint32_t random();

  Parts parts_;
  std::shared_ptr<Queue> queue_;          // shared with the Hub, which fills it
  std::shared_ptr<Board> board_;          // the same
  std::shared_ptr<EndpointProbe> probe_;  // shared with the queue
  std::string name_;
  State state_ = State::idle;
  std::unique_ptr<Parcel> parcel_;  // under way, or failed
  std::unique_ptr<Sender::Sending> sending_;
  base::Timer timer_;             // of the request, or of the wait
  base::SteadyTime began_{};      // the request
  unsigned failures_ = 0;         // in a row, whatever the reason
  unsigned refusals_ = 0;         // of the first event, alone
  std::size_t one_by_one_ = 0;    // so many events still go alone
  base::SteadyTime told_dead_{};  // when the log last told of a dead letter
  std::uint32_t random_;
  base::Lifetime life_;
};

}  // namespace shoal::notify
