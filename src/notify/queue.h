// Queue: the events of one endpoint on disk, those that wait and those that were given up; and the next request made of
// them. Shared by the Hub and the endpoint's Courier; all of it on the Hub's strand. Blocks.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "board.h"
#include "body.h"
#include "dead_letters.h"
#include "journal.h"
#include "notify_probe.h"

namespace shoal::notify {

// Some events on their way to the receiver.
struct Parcel {
  std::shared_ptr<const EndpointOptions> options;  // they were packed by; shared with the queue
  fetch::Request request;
  std::vector<base::WallTime> queued;  // of each event
};

class Queue {
 public:
  Queue(std::string directory, Source source, base::Clock& clock, std::shared_ptr<Board> board,
        std::shared_ptr<EndpointProbe> probe);

  [[nodiscard]] base::Result<void> open();
  void set_options(std::shared_ptr<const EndpointOptions> options, const std::string& source);
  [[nodiscard]] const EndpointOptions& options() const { return *options_; }

  void offer(std::span<const obs::Event> events);   // those it takes()
  void refuse(std::span<const obs::Event> events);  // it could not be opened: the same, counted as dropped
  // The oldest events, `most` of them and no more than a request may hold. Null: none wait, or the disk fails.
  [[nodiscard]] std::unique_ptr<Parcel> pack(std::size_t most);
  void delivered(std::size_t n);  // the first n of the last pack()
  // The same, as dead letters. False: they could not be written, and stay in the queue.
  [[nodiscard]] bool bury(std::size_t n, const std::string& reason, unsigned attempts);
  void sync();
  [[nodiscard]] bool dirty() const { return journal_.dirty(); }

  [[nodiscard]] base::Result<std::vector<DeadLetter>> list_dead(std::size_t limit) const;
  [[nodiscard]] base::Result<std::size_t> retry_dead();
  [[nodiscard]] std::uint64_t pending() const { return journal_.records(); }

 private:
  [[nodiscard]] base::Result<std::size_t> append(std::span<const obs::Event> events);
  void tell_dropped(std::size_t n, const std::string& why);
  void disk_failed(const base::Error& error);
  void refresh();

  Source source_;
  base::Clock& clock_;
  std::shared_ptr<Board> board_;          // shared with the Hub, which shows it
  std::shared_ptr<EndpointProbe> probe_;  // shared with the Courier
  std::shared_ptr<const EndpointOptions> options_;
  Journal journal_;
  DeadLetters dead_;
  std::vector<obs::Event> packed_;  // of the last pack()
  bool dropping_ = false;           // since the last event that found room
  bool failing_ = false;            // the disk, when last used
};

}  // namespace shoal::notify
